//! How `llt run` ends when it is stopped from outside, and that nothing is left behind.

use crate::llt::Llt;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A run that streams for long. `smollm2` is the slower of the two models.
fn streaming(llt: &Llt) -> Child {
    let model = llamatelemetry_testbed::smollm2().path;
    let mut child = llt
        .command(&[
            "run",
            model.to_str().unwrap(),
            "Count to a thousand.",
            "-n",
            "4000",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    child
}

pub(crate) fn signal(pid: u32, signal: &str) {
    let status = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// What runs as a child of this process: of `llt`, its llama-server.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let Ok(status) = std::fs::read_to_string(path.join("stat")) else {
            continue;
        };
        // pid (name) state parent …; the name may hold anything, its last parenthesis ends it.
        let Some((_, rest)) = status.rsplit_once(')') else {
            continue;
        };
        if rest.split_whitespace().nth(1) == Some(&parent.to_string()) {
            let pid = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
            found.push(pid);
        }
    }
    found
}

pub(crate) fn is_alive(pid: u32) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = status.rsplit_once(')').map(|(_, rest)| rest.trim_start());
    !state.is_some_and(|state| state.starts_with('Z'))
}

fn ends_with(kind: &str, code: Option<i32>) {
    let llt = Llt::with_runtime();
    let mut child = streaming(&llt);
    let servers = children_of(child.id());
    assert!(!servers.is_empty(), "no llama-server is running");
    signal(child.id(), kind);
    let status = child.wait().unwrap();
    assert_eq!(status.code(), code);
    for server in servers {
        llamatelemetry_testbed::until("the server's end", Duration::from_secs(5), || {
            (!is_alive(server)).then_some(())
        });
    }
}

#[test]
fn ctrl_c_ends_the_run_and_its_server() {
    ends_with("-INT", Some(130));
}

#[test]
fn sigterm_ends_the_run_and_its_server() {
    ends_with("-TERM", Some(143));
}

#[test]
fn sigkill_leaves_no_server() {
    ends_with("-KILL", None);
}

#[test]
fn a_server_that_is_killed_is_told_with_its_last_lines() {
    let llt = Llt::with_runtime();
    let child = streaming(&llt);
    for server in children_of(child.id()) {
        let killed = Command::new("kill")
            .args(["-KILL", &server.to_string()])
            .status();
        assert!(killed.unwrap().success());
    }
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("error: llama-server was killed (signal 9)"),
        "{stderr}"
    );
    assert!(stderr.contains("llama-server's last lines:"), "{stderr}");
}

#[test]
fn a_reader_that_is_gone_ends_the_run_in_peace() {
    let llt = Llt::with_runtime();
    let mut child = streaming(&llt);
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
}
