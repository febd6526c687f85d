//! Deadlines, dropped questions and retries.

use super::place::alphabet;
use llamatelemetry_api::{
    Address, ApiError, Client, CompletionRequest, Endpoints as _, Generation, blocking,
};
use llamatelemetry_testbed::scratch_home;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

fn endless() -> CompletionRequest {
    CompletionRequest {
        prompt: "abc".into(),
        max_tokens: Some(1900),
        generation: Generation {
            ignore_eos: Some(true),
            ..Generation::default()
        },
        ..CompletionRequest::default()
    }
}

#[test]
fn a_deadline_ends_a_stream_and_frees_its_slot() {
    let server = alphabet(&[]);
    let limit = Duration::from_millis(40);
    let mut stream = server.within(limit).completion_events(&endless()).unwrap();
    let error = stream
        .find_map(Result::err)
        .expect("an end before its time");
    assert!(
        matches!(error, ApiError::TimedOut { limit: told, .. } if told == limit),
        "{error}"
    );
    assert_eq!(error.kind(), "timeout");
    assert!(stream.next().is_none());
    server.until_idle();
}

#[test]
fn a_deadline_ends_a_whole_answer_and_frees_its_slot() {
    let server = alphabet(&[]);
    let limit = Duration::from_millis(40);
    let error = server.within(limit).completion(&endless()).unwrap_err();
    assert!(matches!(error, ApiError::TimedOut { .. }), "{error}");
    server.until_idle();
}

#[test]
fn a_dropped_question_frees_its_slot() {
    let server = alphabet(&[]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let client = Client::new(server.address().clone(), None);
    runtime.block_on(async {
        let mut asked = client.completion(&endless());
        // Polled until a slot works on it.
        loop {
            tokio::select! {
                _ = &mut asked => panic!("it answered"),
                slots = client.slots() => if slots.unwrap()[0].is_processing { break },
            }
        }
        drop(asked);
    });
    server.until_idle();
}

/// Asks on a thread of its own.
fn asking<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::Builder::new()
        .name("asking".into())
        .spawn(ask)
        .unwrap()
}

#[test]
fn who_retries_waits_for_a_server_that_comes() {
    let folder = scratch_home();
    let socket = folder.root().join("late.sock");
    let client = blocking::Client::new(Address::Unix(socket.clone()), None).unwrap();
    assert!(matches!(client.slots(), Err(ApiError::Connect { .. })));
    let patient = client.retrying(100);
    let asking = asking(move || patient.slots());
    // It is there after a while, says that it still loads, and then answers.
    let listener = UnixListener::bind(&socket).unwrap();
    for (status, body) in [
        ("503 X", r#"{"error":{"message":"Loading model"}}"#),
        ("200 OK", "[]"),
    ] {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close");
        write!(stream, "{head}\r\n\r\n{body}").unwrap();
    }
    assert_eq!(asking.join().unwrap().unwrap().len(), 0);
}

#[test]
fn what_changes_the_server_is_not_sent_twice() {
    let folder = scratch_home();
    let socket = folder.root().join("broken.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let client = blocking::Client::new(Address::Unix(socket), None).unwrap();
    let asking = asking(move || client.retrying(3).slot_erase(0));
    let (mut stream, _) = listener.accept().unwrap();
    assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
    drop(stream);
    let error = asking.join().unwrap().unwrap_err();
    assert!(matches!(error, ApiError::Broken { .. }), "{error}");
    listener.set_nonblocking(true).unwrap();
    let again = listener.accept().unwrap_err();
    assert_eq!(again.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn retries_end_with_the_deadline() {
    let client = blocking::Client::new(Address::Unix("/nonexistent/s".into()), None).unwrap();
    let begun = Instant::now();
    let limit = Duration::from_millis(200);
    let error = client.retrying(u32::MAX).within(limit).slots().unwrap_err();
    assert!(matches!(error, ApiError::TimedOut { .. }), "{error}");
    assert!(begun.elapsed() >= limit);
}
