//! Full disks and limits of file sizes, met by another process of this program.

use crate::bench::{MIB, bench, bytes, download, fetcher, sha256};
use llamatelemetry_fetch::FetchError;
use llamatelemetry_progress::Silent;
use llamatelemetry_settings::{Environment, Flags, resolve};
use llamatelemetry_testbed::{Faults, FileServer, ScratchHome, Served, scratch_home, skip};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

/// The other process: fetches and tells what came of it.
#[test]
fn other_process() {
    let environment = Environment::from_process();
    let Some(url) = environment.get("LT_LIMIT_URL") else {
        return;
    };
    let target = PathBuf::from(environment.get("LT_LIMIT_TARGET").unwrap());
    let settings = resolve(environment.clone(), &Flags::default())
        .unwrap()
        .settings;
    match fetcher(&settings).fetch(&download(url.to_owned(), target), &Silent) {
        Ok(fetched) => println!("lt-ok {} {}", fetched.sha256, fetched.bytes_reused),
        Err(error) => println!("lt-error {error}; {}", error.hints().join("; ")),
    }
}

/// Starts a shell in which `$fetch` is the other process.
fn shell(program: &[&str], script: &str, scratch: &ScratchHome, url: &str) -> Child {
    let home = scratch.home().root().to_path_buf();
    std::fs::create_dir_all(&home).unwrap();
    let mut command: Command = scratch.command(program[0]);
    command
        .args(&program[1..])
        .args(["-c", script, "shell"])
        .arg(std::env::current_exe().unwrap())
        .env("fetch", "--exact limits::other_process --nocapture")
        .env("LT_LIMIT_URL", url)
        .env("LT_LIMIT_TARGET", home.join("file"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command.spawn().unwrap()
}

/// What the other processes tell.
fn told(child: &mut Child) -> Vec<String> {
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.find("lt-").map(|at| line[at..].to_owned()))
        .collect();
    child.wait().unwrap();
    lines
}

/// Whether a process may have mounts of its own here.
fn can_mount() -> bool {
    Command::new("unshare")
        .args(["-m", "/bin/sh", "-c", "mount -t tmpfs none /mnt"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

const OWN_MOUNTS: [&str; 4] = ["/usr/bin/env", "unshare", "-m", "/bin/sh"];

fn unknown_size() -> Faults {
    Faults {
        ignore_ranges: true,
        chunked: true,
        ..Faults::default()
    }
}

#[test]
fn a_limit_of_file_sizes_is_an_error_and_not_the_end() {
    let server = FileServer::start().unwrap();
    let content = bytes(6 * MIB, 70);
    server.put("/known", Served::new(content.clone()));
    // Its size is not told, so the limit is met while writing.
    server.put("/unknown", Served::new(content).with(unknown_size()));
    for path in ["/known", "/unknown"] {
        let scratch = scratch_home();
        // Blocks of 512 bytes: 2 MiB.
        let script = "ulimit -f 4096; \"$1\" $fetch";
        let mut child = shell(&["/bin/sh"], script, &scratch, &server.url(path));
        let told = told(&mut child);
        assert!(
            told[0].starts_with(
                "lt-error the file is larger than may be written here (limit 2097152 bytes): "
            ),
            "{path}: {told:?}"
        );
        assert!(
            told[0].ends_with("; raise the limit: ulimit -f unlimited"),
            "{told:?}"
        );
    }
}

#[test]
fn a_disk_that_is_too_small_is_told() {
    if !can_mount() {
        return skip("no process may have mounts of its own here");
    }
    let server = FileServer::start().unwrap();
    let content = bytes(6 * MIB, 71);
    server.put("/known", Served::new(content.clone()));
    server.put("/unknown", Served::new(content).with(unknown_size()));
    let script = "mount -t tmpfs -o size=4m none \"$LLAMATELEMETRY_HOME\"; \"$1\" $fetch";
    for (path, needed) in [("/known", Some(6 * MIB)), ("/unknown", None)] {
        let scratch = scratch_home();
        let mut child = shell(&OWN_MOUNTS, script, &scratch, &server.url(path));
        let told = told(&mut child);
        let start = needed.map_or_else(
            || "lt-error ".to_owned(),
            |needed| format!("lt-error {needed} "),
        );
        assert!(told[0].starts_with(&start), "{path}: {told:?}");
        assert!(
            told[0].contains("bytes are needed and "),
            "{path}: {told:?}"
        );
        assert!(
            told[0].contains("set LLAMATELEMETRY_HOME to a larger disk"),
            "{told:?}"
        );
        let sent: u64 = server
            .seen()
            .iter()
            .filter(|seen| seen.path == "/known")
            .map(|seen| seen.sent)
            .sum();
        assert!(sent < 6 * MIB, "the known one is not fetched to the end");
    }
}

#[test]
fn a_disk_that_fills_up_under_way_keeps_what_came() {
    if !can_mount() {
        return skip("no process may have mounts of its own here");
    }
    let server = FileServer::start().unwrap();
    let content = bytes(12 * MIB, 72);
    let slow = Faults {
        throttle: Some(MIB),
        ..Faults::default()
    };
    server.put("/f", Served::new(content.clone()).with(slow));
    let scratch = scratch_home();
    let script = "mount -t tmpfs -o size=16m none \"$LLAMATELEMETRY_HOME\"; \"$1\" $fetch; \
                  rm \"$LLAMATELEMETRY_HOME/filler\"; \"$1\" $fetch";
    let mut child = shell(&OWN_MOUNTS, script, &scratch, &server.url("/f"));
    assert!(
        server.wait(LONG, |seen| seen.iter().map(|seen| seen.sent).sum::<u64>()
            > 2 * MIB)
    );
    // The disk of the other process, seen from here.
    let home = scratch
        .home()
        .root()
        .strip_prefix("/")
        .unwrap()
        .to_path_buf();
    let filler = PathBuf::from(format!("/proc/{}/root", child.id()))
        .join(home)
        .join("filler");
    let mut filler = File::create(filler).unwrap();
    while filler.write_all(&[1; 4096]).is_ok() {}
    drop(filler);
    let told = told(&mut child);
    assert!(told[0].contains("bytes are needed and "), "{told:?}");
    let words: Vec<&str> = told[1].split(' ').collect();
    assert_eq!((words[0], words[1]), ("lt-ok", sha256(&content).as_str()));
    assert!(words[2].parse::<u64>().unwrap() > MIB, "{told:?}");
}

#[test]
fn a_name_that_is_taken_loses_no_byte() {
    let bench = bench();
    let content = bytes(6 * MIB, 73);
    bench.server.put("/f", Served::new(content.clone()));
    let wanted = bench.download("/f");
    std::fs::create_dir_all(&wanted.target).unwrap();
    let error = bench.fetcher().fetch(&wanted, &Silent).unwrap_err();
    assert!(matches!(error, FetchError::Io { .. }), "{error}");
    std::fs::remove_dir(&wanted.target).unwrap();
    bench.server.forget();
    let fetched = bench.fetcher().fetch(&wanted, &Silent).unwrap();
    assert_eq!((fetched.bytes_reused, fetched.bytes_fetched), (6 * MIB, 0));
    assert_eq!(fetched.sha256, sha256(&content));
    assert!(bench.server.seen().is_empty(), "nothing was missing");
}
