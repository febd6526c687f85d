//! Restart after a crash, and none for what would repeat.

use crate::setup::{PATIENCE, Place, READY, place, signal};
use llamatelemetry_progress::Silent;
use llamatelemetry_server::{ExitClass, LaunchSpec, RestartPolicy, Supervisor, SupervisorState};
use llamatelemetry_testbed::until;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn quick() -> RestartPolicy {
    RestartPolicy {
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(80),
        ..RestartPolicy::default()
    }
}

#[track_caller]
fn supervise(spec: LaunchSpec, policy: RestartPolicy) -> Supervisor {
    Supervisor::start(spec, policy, &Silent).unwrap_or_else(|error| panic!("no start: {error}"))
}

#[test]
fn a_killed_server_is_back_under_another_address() {
    let place = place();
    let spec = place.real();
    let supervisor = supervise(spec, quick());
    let first = supervisor.current().expect("a server");
    let (pid, address) = (first.pid(), first.address().clone());
    drop(first);
    signal("KILL", pid);
    until("the restart", PATIENCE, || {
        (supervisor.restarts() == 1).then_some(())
    });
    let second = supervisor.wait_running(PATIENCE).expect("a server");
    assert_ne!(second.pid(), pid);
    assert_ne!(second.address(), &address);
    assert_eq!(supervisor.state(), SupervisorState::Running);
    let last = supervisor.last_exit().expect("an exit");
    assert_eq!(last.class, ExitClass::Killed);
    drop(second);
    let exit = supervisor.stop(PATIENCE).expect("an exit");
    assert_eq!(exit.class, ExitClass::Stopped);
    assert_eq!(supervisor.state(), SupervisorState::Stopped);
    assert!(supervisor.wait_running(Duration::ZERO).is_err());
}

/// A stub that counts its launches in a file.
fn counting(place: &Place, script: &str) -> (LaunchSpec, impl Fn() -> usize + use<>) {
    let count = place.home.root().join("launches");
    let spec = place.stub(&format!("echo x >> '{}'\n{script}", count.display()));
    let launches = move || {
        std::fs::read_to_string(&count)
            .unwrap_or_default()
            .lines()
            .count()
    };
    (spec, launches)
}

#[test]
fn a_server_that_crashes_again_and_again_is_given_up() {
    let place = place();
    let (spec, launches) = counting(&place, &format!("{READY}\nsleep 0.05\nkill -SEGV $$"));
    let started = Instant::now();
    let supervisor = supervise(spec, quick());
    let reason = until("giving up", PATIENCE, || match supervisor.state() {
        SupervisorState::GaveUp { reason } => Some(reason),
        _ => None,
    });
    assert!(
        reason.starts_with("llama-server crashed (signal 11)"),
        "{reason}"
    );
    // The first launch and five restarts, with pauses of 20, 40, 80, 80 and 80 ms between.
    assert_eq!(launches(), 6);
    assert!(started.elapsed() >= Duration::from_millis(300));
    let error = supervisor.wait_running(PATIENCE).expect_err("no server");
    assert_eq!(
        error.exit().map(|exit| exit.class),
        Some(ExitClass::Crashed)
    );
}

#[test]
fn an_end_that_would_repeat_is_not_repeated() {
    let place = place();
    let once = place.home.root().join("once");
    let (spec, launches) = counting(
        &place,
        &format!(
            "if [ -e '{once}' ]; then echo 'error: failed to load model'; exit 1; fi\n\
             touch '{once}'\n{READY}\nsleep 0.05\nkill -SEGV $$",
            once = once.display()
        ),
    );
    let supervisor = supervise(spec, quick());
    let reason = until("giving up", PATIENCE, || match supervisor.state() {
        SupervisorState::GaveUp { reason } => Some(reason),
        _ => None,
    });
    assert!(
        reason.starts_with("llama-server could not load the model"),
        "{reason}"
    );
    assert_eq!(launches(), 2);
}

#[test]
fn a_good_run_forgives_earlier_failures() {
    let place = place();
    let (spec, launches) = counting(&place, &format!("{READY}\nsleep 0.05\nkill -SEGV $$"));
    let policy = RestartPolicy {
        good_run: Duration::ZERO,
        give_up_after: 1,
        ..quick()
    };
    let supervisor = supervise(spec, policy);
    until("many launches", PATIENCE, || (launches() > 4).then_some(()));
    drop(supervisor);
}

#[test]
fn a_stop_during_a_restart_ends_it_at_once() {
    let place = place();
    let once = place.home.root().join("once");
    let (spec, launches) = counting(
        &place,
        &format!(
            "if [ -e '{once}' ]; then exec sleep 1000; fi\n\
             touch '{once}'\n{READY}\nread line\nexit 0",
            once = once.display()
        ),
    );
    let supervisor = Arc::new(supervise(spec, quick()));
    signal("KILL", supervisor.current().expect("a server").pid());
    until("the second launch", PATIENCE, || {
        (launches() == 2).then_some(())
    });
    let asked = Instant::now();
    supervisor.stop(PATIENCE);
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert_eq!(supervisor.state(), SupervisorState::Stopped);
}
