//! A full disk, by the shell's limit on the size of files (`RLIMIT_FSIZE`).

use crate::llt::{Llt, Ran, assert_text};
use llamatelemetry_testbed::{FileServer, Served};
use std::process::Command;

/// Runs `llt` where no file can grow beyond so many blocks of 512 or 1024 bytes.
fn with_limit(llt: &Llt, blocks: u32, args: &[&str]) -> Ran {
    let command = llt.command(args);
    let mut shell = Command::new("/bin/sh");
    shell
        // The signal of the limit is ignored, so that writing fails instead.
        .arg("-c")
        .arg(format!(
            "trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""
        ))
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().unwrap())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    Ran::new(llt, &shell.output().unwrap())
}

#[test]
fn a_download_that_finds_no_room_says_so() {
    let proof = std::fs::read(llamatelemetry_testbed::proof_model()).unwrap();
    let server = FileServer::start().unwrap();
    server.put("/proof.gguf", Served::new(proof));
    let address = server.url("/proof.gguf");
    let llt = Llt::online();
    let ran = with_limit(&llt, 64, &["models", "pull", &address]);
    assert_eq!(ran.code, Some(1), "{}", ran.text());
    assert_text!(ran.stderr.replace(&server.url(""), "[server]"));
    // With room again, the same command does its work.
    let ran = llt.run(&["models", "pull", &address]);
    assert_eq!(ran.code, Some(0), "{}", ran.text());
}

/// Runs `llt` with its home on a file system of its own of so many kilobytes. `None` where this
/// system does not let us.
fn on_small_disk(llt: &Llt, kilobytes: u32, args: &[&str]) -> Option<Ran> {
    let home = llt.root().join("home");
    std::fs::create_dir_all(&home).unwrap();
    let mount = format!(
        "mount -t tmpfs -o size={kilobytes}k tmpfs '{}'",
        home.display()
    );
    let permitted = Command::new("unshare")
        .args(["-rm", "/bin/sh", "-c", &mount])
        .output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let command = llt.command(args);
    let mut wrapped = Command::new("unshare");
    wrapped
        .args(["-rm", "/bin/sh", "-c"])
        .arg(format!("{mount} && exec \"$0\" \"$@\""))
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().unwrap())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    Some(Ran::new(llt, &wrapped.output().unwrap()))
}

#[test]
fn a_disk_that_is_too_small_is_told_before_anything_is_fetched() {
    let proof = std::fs::read(llamatelemetry_testbed::proof_model()).unwrap();
    let server = FileServer::start().unwrap();
    server.put("/proof.gguf", Served::new(proof));
    let address = server.url("/proof.gguf");
    let llt = Llt::online();
    let Some(ran) = on_small_disk(&llt, 100, &["models", "pull", &address]) else {
        return llamatelemetry_testbed::skip("no mounts of one's own (unshare -rm)");
    };
    assert_eq!(ran.code, Some(1), "{}", ran.text());
    assert_text!(ran.stderr.replace(&server.url(""), "[server]"));
}
