//! How servers end: in good order, by force, by themselves; and what is then said of it.

use crate::setup::{
    GRACE, PATIENCE, READY, failure, is_dead, number_in_log, place, signal, start, until_dead,
};
use llamatelemetry_api::{CompletionRequest, Generation, blocking};
use llamatelemetry_server::{Exit, ExitClass, ServerError};
use llamatelemetry_testbed::until;
use std::time::{Duration, Instant};

#[test]
fn a_killed_server_is_said_to_be_killed_with_its_last_lines() {
    let place = place();
    let spec = place.real();
    let server = start(&spec);
    // The server's log lags a little behind its word that it is ready.
    until("the last line of the start", PATIENCE, || {
        let lines = server.log_tail();
        lines
            .iter()
            .any(|line| line.text.contains("model loaded"))
            .then_some(())
    });
    signal("KILL", server.pid());
    let exit = server.wait_exit(PATIENCE).expect("an exit");
    assert_eq!((exit.class, exit.signal), (ExitClass::Killed, Some(9)));
    assert!(
        exit.log_tail
            .iter()
            .any(|line| line.contains("model loaded"))
    );
    assert_eq!(server.exit(), Some(exit));
}

#[test]
fn a_stopped_server_is_killed_after_the_grace() {
    let place = place();
    let spec = place.real();
    let server = start(&spec);
    signal("STOP", server.pid());
    let pid = server.pid();
    let exit = server.stop(Duration::from_millis(200));
    assert_eq!((exit.class, exit.signal), (ExitClass::Stopped, Some(9)));
    assert!(is_dead(pid));
}

#[test]
fn a_server_that_ignores_everything_is_killed_with_what_it_started() {
    let place = place();
    let spec = place.stub(&format!(
        "trap '' TERM INT\nsleep 1000 &\necho helper $!\n{READY}\nwhile :; do sleep 1; done"
    ));
    let server = start(&spec);
    let helper = number_in_log(&server, "helper ");
    let (pid, asked) = (server.pid(), Instant::now());
    let exit = server.stop(Duration::from_millis(300));
    assert!(asked.elapsed() >= Duration::from_millis(300));
    assert_eq!((exit.class, exit.signal), (ExitClass::Stopped, Some(9)));
    assert!(is_dead(pid));
    until_dead(helper, PATIENCE);
}

#[test]
fn what_a_crashed_server_started_does_not_outlive_it() {
    let place = place();
    let spec = place.stub(&format!(
        "sleep 1000 &\necho helper $!\n{READY}\nread line\nkill -SEGV $$"
    ));
    let server = start(&spec);
    let helper = number_in_log(&server, "helper ");
    signal("SEGV", server.pid());
    let exit = server.wait_exit(PATIENCE).expect("an exit");
    assert_eq!((exit.class, exit.signal), (ExitClass::Crashed, Some(11)));
    until_dead(helper, PATIENCE);
}

#[test]
fn dropping_a_server_stops_it() {
    let place = place();
    let spec = place.real();
    let server = start(&spec);
    let pid = server.pid();
    drop(server);
    assert!(is_dead(pid));
    assert_eq!(place.launch_files(), Vec::<String>::new());
}

#[test]
fn a_server_that_works_on_a_request_stops_too() {
    let place = place();
    let spec = place.real();
    let server = start(&spec);
    let client = blocking::Client::new(server.address().clone(), None).expect("a client");
    let request = CompletionRequest {
        prompt: "Once upon a time".into(),
        max_tokens: Some(4096),
        generation: Generation {
            ignore_eos: Some(true),
            ..Generation::default()
        },
        ..CompletionRequest::default()
    };
    let mut answer = client
        .completion_stream(&request, None)
        .expect("an answer that streams");
    answer.next().expect("a delta").expect("a delta");
    // The answer is not read to its end: left alone, the server would wait for its reader.
    let exit = server.stop(GRACE);
    assert_eq!(exit.class, ExitClass::Stopped);
    assert_ne!(exit.signal, Some(9), "it had to be killed");
}

#[test]
fn stopping_twice_says_the_same() {
    let place = place();
    let spec = place.real();
    let server = start(&spec);
    let first = server.shut_down(GRACE);
    assert_eq!(server.shut_down(GRACE), first);
    assert_eq!(server.stop(GRACE), first);
}

/// The error of a start, from a stub that ends like this.
fn exit_of(script: &str) -> Exit {
    match failure(&place().stub(script)) {
        ServerError::Exited(exit) => *exit,
        error => panic!("another error: {error}"),
    }
}

#[test]
fn a_server_that_ends_at_once_is_classified() {
    let class = |script: &str| exit_of(script).class;
    assert_eq!(class("kill -ILL $$"), ExitClass::IllegalInstruction);
    assert_eq!(class("kill -KILL $$"), ExitClass::Killed);
    assert_eq!(class("kill -SEGV $$"), ExitClass::Crashed);
    assert_eq!(
        class("echo 'CUDA error: out of memory' >&2; kill -ABRT $$"),
        ExitClass::OutOfMemory
    );
    assert_eq!(
        class("echo 'cudaMalloc failed: out of memory' >&2; exit 1"),
        ExitClass::OutOfMemory
    );
    assert_eq!(class("exec /nowhere/program"), ExitClass::MissingLibrary);
    assert_eq!(class("exit 3"), ExitClass::Other);
}

#[test]
fn a_server_that_ends_without_a_word_says_at_least_how() {
    let exit = exit_of("kill -ILL $$");
    assert_eq!(
        exit.to_string(),
        "llama-server uses instructions that this processor does not have (signal 4)"
    );
    assert_eq!(
        exit_of("exit 3").to_string(),
        "llama-server ended (exit code 3)"
    );
}

/// A build that cannot even tell its flags is not asked to serve.
#[test]
fn a_program_that_cannot_run_at_all_is_found_out_when_it_is_asked_for_its_flags() {
    let place = place();
    let mut spec = place.stub("exit");
    for (script, class) in [
        ("kill -ILL $$", ExitClass::IllegalInstruction),
        (
            "echo 'x: error while loading shared libraries: liby.so: cannot open' >&2; exit 127",
            ExitClass::MissingLibrary,
        ),
    ] {
        spec.program = place.script(&format!("{class:?}"), &format!("#!/bin/sh\n{script}\n"));
        let error = failure(&spec);
        assert_eq!(error.exit().map(|exit| exit.class), Some(class), "{error}");
    }
}
