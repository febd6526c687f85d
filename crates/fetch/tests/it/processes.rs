//! Several processes, and processes that are killed.

use crate::bench::{Bench, MIB, PART, bench, bytes, download, sha256};
use llamatelemetry_fetch::{Download, Fetcher};
use llamatelemetry_progress::{Progress, Silent, Task, TaskHandle};
use llamatelemetry_settings::{Environment, Flags, resolve};
use llamatelemetry_testbed::{Faults, Served};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

/// The other process: this test program again, told by the environment what to fetch.
#[test]
fn other_process() {
    let environment = Environment::from_process();
    let Some(url) = environment.get("LT_FETCH_URL") else {
        return;
    };
    let target = PathBuf::from(environment.get("LT_FETCH_TARGET").unwrap());
    let wanted = Download {
        sha256: environment.get("LT_FETCH_SHA256").map(str::to_owned),
        ..download(url.to_owned(), target)
    };
    let settings = resolve(environment.clone(), &Flags::default())
        .unwrap()
        .settings;
    let fetched = Fetcher::new(&settings)
        .unwrap()
        .fetch(&wanted, &Told)
        .unwrap();
    println!(
        "lt-done {} {} {}",
        fetched.sha256, fetched.bytes_reused, fetched.bytes_fetched
    );
}

struct Told;

impl Progress for Told {
    fn begin(&self, _task: Task) -> Box<dyn TaskHandle> {
        Box::new(Silent)
    }

    fn note(&self, message: &str) {
        let line = format!("lt-note {message}\n");
        std::io::stdout().write_all(line.as_bytes()).unwrap();
    }
}

fn start(bench: &Bench, wanted: &Download) -> Child {
    command(bench, wanted).spawn().unwrap()
}

fn command(bench: &Bench, wanted: &Download) -> Command {
    let mut command = bench.scratch.command(std::env::current_exe().unwrap());
    command
        .args(["--exact", "processes::other_process", "--nocapture"])
        .env("LT_FETCH_URL", &wanted.url)
        .env("LT_FETCH_TARGET", &wanted.target)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(sha256) = &wanted.sha256 {
        command.env("LT_FETCH_SHA256", sha256);
    }
    command
}

fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.find("lt-").map(|at| line[at..].to_owned()))
}

#[test]
fn after_a_kill_at_most_one_part_is_fetched_again() {
    for known in [true, false] {
        let bench = bench();
        let content = bytes(24 * MIB, 60);
        let slow = Faults {
            throttle: Some(3 * MIB),
            ..Faults::default()
        };
        let file = Served::new(content.clone());
        bench.server.put("/f", file.clone().with(slow));
        let wanted = Download {
            sha256: known.then(|| sha256(&content)),
            ..bench.download("/f")
        };
        let mut child = start(&bench, &wanted);
        let sent = |seen: &[llamatelemetry_testbed::Seen]| -> u64 {
            seen.iter().map(|seen| seen.sent).sum()
        };
        assert!(bench.server.wait(LONG, |seen| sent(seen) >= 8 * MIB));
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!wanted.target.exists());
        let first = bench.server.sent();
        assert!(first < 20 * MIB, "it was killed under way");
        bench.server.put("/f", file);
        let fetched = bench.fetcher().fetch(&wanted, &Silent).unwrap();
        assert_eq!(fetched.sha256, sha256(&content));
        assert_eq!(fetched.bytes_reused + fetched.bytes_fetched, fetched.size);
        let again = bench.server.sent() - fetched.size;
        println!("{first} bytes before the kill, {again} of them again");
        assert!(again <= PART, "{again} bytes were sent again");
        assert!(bench.left_over().is_empty());
    }
}

#[test]
fn of_two_processes_one_fetches_and_the_other_waits() {
    for known in [true, false] {
        let bench = bench();
        let content = bytes(6 * MIB, 61);
        let slow = Faults {
            throttle: Some(4 * MIB),
            ..Faults::default()
        };
        bench
            .server
            .put("/f", Served::new(content.clone()).with(slow));
        let wanted = Download {
            sha256: known.then(|| sha256(&content)),
            ..bench.download("/f")
        };
        let mut first = start(&bench, &wanted);
        assert!(bench.server.wait(LONG, |seen| !seen.is_empty()));
        let mut second = start(&bench, &wanted);
        let told: Vec<String> = lines(&mut second).collect();
        assert!(first.wait().unwrap().success());
        assert!(second.wait().unwrap().success());
        let size = content.len();
        assert_eq!(
            told,
            [
                "lt-note another process is fetching the file; waiting for it".to_owned(),
                format!("lt-done {} {size} 0", sha256(&content)),
            ]
        );
        assert_eq!(bench.server.sent(), content.len() as u64);
    }
}

#[test]
fn the_one_that_waits_carries_on_when_the_other_is_killed() {
    let bench = bench();
    let content = bytes(12 * MIB, 62);
    let slow = Faults {
        throttle: Some(2 * MIB),
        ..Faults::default()
    };
    let file = Served::new(content.clone());
    bench.server.put("/f", file.clone().with(slow));
    let wanted = bench.download("/f");
    let mut first = start(&bench, &wanted);
    let some = |seen: &[llamatelemetry_testbed::Seen]| {
        seen.iter().map(|seen| seen.sent).sum::<u64>() >= 2 * MIB
    };
    assert!(bench.server.wait(LONG, some));
    let mut second = start(&bench, &wanted);
    let mut told = lines(&mut second);
    assert!(told.next().unwrap().starts_with("lt-note another process"));
    bench.server.put("/f", file);
    first.kill().unwrap();
    first.wait().unwrap();
    let done = told.last().unwrap();
    assert!(second.wait().unwrap().success());
    let words: Vec<&str> = done.split(' ').collect();
    assert_eq!(words[1], sha256(&content));
    assert!(
        words[2].parse::<u64>().unwrap() > MIB,
        "what the first got is used: {done}"
    );
}
