//! Full disks and limits of file sizes.

use crate::bench::{MIB, bench, bytes, download, fetcher, sha256};
use llamatelemetry_fetch::FetchError;
use llamatelemetry_progress::Silent;
use llamatelemetry_settings::{Environment, Flags, resolve};
use llamatelemetry_testbed::{Faults, FileServer, Served, scratch_home, skip};
use std::path::PathBuf;
use std::process::{Command, Output};

/// The other process: fetches and prints the error and its hints.
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
    let wanted = download(url.to_owned(), target);
    match fetcher(&settings).fetch(&wanted, &Silent) {
        Ok(fetched) => println!("lt-ok {}", fetched.sha256),
        Err(error) => println!("lt-error {error}; {}", error.hints().join("; ")),
    }
}

/// Runs the other process by a shell that first does `setup`, and returns its line.
fn under(
    setup: &str,
    scratch: &llamatelemetry_testbed::ScratchHome,
    url: &str,
) -> Result<String, Output> {
    let program = std::env::current_exe().unwrap();
    let script = format!("{setup}; exec \"$0\" --exact limits::other_process --nocapture");
    let output = scratch
        .command("/bin/sh")
        .args(["-c", &script])
        .arg(program)
        .env("LT_LIMIT_URL", url)
        .env("LT_LIMIT_TARGET", scratch.home().root().join("file"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text
        .lines()
        .find_map(|line| line.find("lt-").map(|at| line[at..].to_owned()));
    line.ok_or(output)
}

#[test]
fn a_limit_of_file_sizes_is_an_error_and_not_the_end() {
    let server = FileServer::start().unwrap();
    let content = bytes(6 * MIB, 70);
    server.put("/known", Served::new(content.clone()));
    // Its size is not told, so the limit is met while writing.
    let chunked = Faults {
        ignore_ranges: true,
        chunked: true,
        ..Faults::default()
    };
    server.put("/unknown", Served::new(content).with(chunked));
    for path in ["/known", "/unknown"] {
        let scratch = scratch_home();
        // In blocks of 512 bytes: 2 MiB.
        let line = under("ulimit -f 4096", &scratch, &server.url(path)).unwrap();
        assert!(
            line.starts_with(
                "lt-error the file is larger than may be written here (limit 2097152 bytes): "
            ),
            "{path}: {line}"
        );
        assert!(
            line.ends_with("; raise the limit: ulimit -f unlimited"),
            "{line}"
        );
    }
    assert_eq!(
        server
            .seen()
            .iter()
            .filter(|seen| seen.path == "/known")
            .count(),
        1
    );
}

#[test]
fn a_full_disk_is_told_before_or_while_writing() {
    let server = FileServer::start().unwrap();
    let content = bytes(6 * MIB, 71);
    server.put("/known", Served::new(content.clone()));
    let chunked = Faults {
        ignore_ranges: true,
        chunked: true,
        ..Faults::default()
    };
    server.put("/unknown", Served::new(content.clone()).with(chunked));
    for path in ["/known", "/unknown"] {
        let scratch = scratch_home();
        let home = scratch.home();
        std::fs::create_dir_all(home.root()).unwrap();
        // A file system of its own, seen by this one process and gone with it.
        let setup = format!(
            "mount -t tmpfs -o size=4m none '{}' || exit 77",
            home.root().display()
        );
        let mounted = format!("unshare -m /bin/sh -c '{}' 2>/dev/null", "true");
        let able = Command::new("/bin/sh")
            .args(["-c", &mounted])
            .status()
            .unwrap();
        if !able.success() {
            return skip("no own mounts are allowed here");
        }
        let inner = setup.replace('\'', "");
        let line = under_mount(&inner, &scratch, &server.url(path));
        let Some(line) = line else {
            return skip("no tmpfs can be mounted here");
        };
        assert!(line.starts_with("lt-error "), "{line}");
        assert!(line.contains(" bytes are needed and "), "{path}: {line}");
        assert!(line.contains(" are free: "), "{path}: {line}");
        assert!(line.contains("LLAMATELEMETRY_HOME"), "{line}");
        if path == "/known" {
            assert!(
                line.contains(&format!("lt-error {} bytes are needed", content.len())),
                "{line}"
            );
        }
    }
}

fn under_mount(
    setup: &str,
    scratch: &llamatelemetry_testbed::ScratchHome,
    url: &str,
) -> Option<String> {
    let script = format!("{setup}; exec \"$0\" --exact limits::other_process --nocapture");
    let output = scratch
        .command("/usr/bin/env")
        .args(["unshare", "-m", "/bin/sh", "-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env("LT_LIMIT_URL", url)
        .env("LT_LIMIT_TARGET", scratch.home().root().join("file"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .find_map(|line| line.find("lt-").map(|at| line[at..].to_owned()))
}

#[test]
fn a_disk_that_fills_up_under_way_leaves_what_came_for_the_next_attempt() {
    // A limit met in the middle of parts stands in for a disk that fills up: the same way out.
    let bench = bench();
    let content = bytes(6 * MIB, 72);
    bench.server.put("/f", Served::new(content.clone()));
    let wanted = bench.download("/f");
    std::fs::create_dir_all(wanted.target.parent().unwrap()).unwrap();
    // The target cannot be named because a folder is in its place: all bytes are here and stay.
    std::fs::create_dir(&wanted.target).unwrap();
    let error = bench.fetcher().fetch(&wanted, &Silent).unwrap_err();
    assert!(matches!(error, FetchError::Io { .. }), "{error}");
    std::fs::remove_dir(&wanted.target).unwrap();
    bench.server.forget();
    let fetched = bench.fetcher().fetch(&wanted, &Silent).unwrap();
    assert_eq!((fetched.bytes_reused, fetched.bytes_fetched), (6 * MIB, 0));
    assert_eq!(fetched.sha256, sha256(&content));
    assert!(bench.server.seen().is_empty(), "nothing was missing");
}
