//! How `llt chat` ends while it waits for a line.

use crate::llt::Llt;
use crate::signals::{children_of, is_alive, signal};
use llamatelemetry_testbed::until;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// A chat that reads lines from a pipe, has answered one and waits for the next.
fn ends_at_the_prompt_with(kind: &str, code: i32) {
    let llt = Llt::with_runtime();
    let model = llamatelemetry_testbed::proof_model();
    let mut child = llt
        .command(&["chat", model.to_str().unwrap(), "-n", "4", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"Hello?\n").unwrap();
    let mut answer = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut answer).unwrap();
    assert!(answer.starts_with('{'), "{answer}");
    let servers = children_of(child.id());
    assert!(!servers.is_empty(), "no llama-server is running");
    signal(child.id(), kind);
    assert_eq!(child.wait().unwrap().code(), Some(code));
    for server in servers {
        until("the server's end", LONG, || {
            (!is_alive(server)).then_some(())
        });
    }
    drop(stdin);
}

#[test]
fn sigterm_ends_a_chat_that_waits_for_a_line() {
    ends_at_the_prompt_with("-TERM", 143);
}

#[test]
fn ctrl_c_ends_a_chat_whose_lines_come_from_a_pipe() {
    ends_at_the_prompt_with("-INT", 130);
}

#[test]
fn a_chat_that_is_ended_leaves_the_terminal_as_it_was() {
    let llt = Llt::with_runtime();
    let model = llamatelemetry_testbed::proof_model();
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = File::options()
        .read(true)
        .write(true)
        .open(std::ffi::OsStr::from_bytes(name.to_bytes()))
        .unwrap();
    // As a user's shell would: it is still there when the chat has ended, and tells of both.
    let script = "\"$@\"; echo \"ended with $?\"; stty -a";
    let command = llt.command(&[]);
    let mut shell = std::process::Command::new("setsid");
    shell
        .args(["--ctty", "sh", "-c", script, "sh"])
        .arg(command.get_program())
        .args(["chat", model.to_str().unwrap()])
        .current_dir(llt.root())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("TERM", "xterm")
        .stdin(theirs.try_clone().unwrap())
        .stdout(theirs.try_clone().unwrap())
        .stderr(theirs);
    let mut child = shell.spawn().unwrap();
    // The last ones who hold their side are the shell and its child: then the reader ends.
    drop((shell, command));
    let shown = Arc::new(Mutex::new(Vec::new()));
    let reader = {
        let shown = shown.clone();
        let mut ours = File::from(ours.try_clone().unwrap());
        std::thread::Builder::new()
            .name("terminal".to_owned())
            .spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(count @ 1..) = ours.read(&mut piece) {
                    shown.lock().unwrap().extend_from_slice(&piece[..count]);
                }
            })
            .unwrap()
    };
    let text = || String::from_utf8_lossy(&shown.lock().unwrap()).into_owned();
    until("the prompt", LONG, || {
        let text = text();
        let (_, after) = text.split_once("listens")?;
        after.contains("> ").then_some(())
    });
    let chat = children_of(child.id())[0];
    signal(chat, "-TERM");
    child.wait().unwrap();
    reader.join().unwrap();
    let text = text();
    let (_, after) = text.split_once("ended with ").expect("the shell goes on");
    assert!(after.starts_with("143"), "{after}");
    for flag in ["icanon", "echo", "isig", "icrnl", "opost"] {
        let told = after.split_whitespace().any(|word| word == flag);
        assert!(told, "{flag}: {after}");
    }
}
