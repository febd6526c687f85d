//! A program that owns a server, played by this test binary itself, so that it can be killed.

use crate::setup::{READY, place, start};
use llamatelemetry_settings::Environment;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Tells the test binary to play the owner, and how.
const ROLE: &str = "LLAMATELEMETRY_TEST_OWNER";

/// What the owner starts, and from where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Role {
    /// The real server, or a stub that takes no notice of its input's end.
    pub(crate) real: bool,
    /// From a thread that has ended since.
    pub(crate) from_ended_thread: bool,
}

/// A running owner of a server.
pub(crate) struct Owner {
    pub(crate) process: Child,
    pub(crate) server: u32,
    /// Removed here: an owner that is killed cannot do it.
    place: PathBuf,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.process.kill().expect("the end of the owner");
        self.process.wait().expect("the end of the owner");
        std::fs::remove_dir_all(&self.place).expect("its folder is removed");
    }
}

/// Starts an owner.
pub(crate) fn launch(role: Role) -> Owner {
    let text = format!("{} {}", role.real, role.from_ended_thread);
    let mut process = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "owner::play", "--nocapture"])
        .env(ROLE, text)
        .stdout(Stdio::piped())
        .spawn()
        .expect("an owner");
    let output = BufReader::new(process.stdout.take().expect("its output"));
    let told = output.lines().find_map(|line| {
        line.expect("a line")
            .strip_prefix("server ")
            .map(str::to_owned)
    });
    let told = told.expect("what the owner tells");
    let (server, place) = told.split_once(' ').expect("two words");
    Owner {
        process,
        server: server.parse().expect("a process id"),
        place: place.into(),
    }
}

/// No test: plays the owner when it is told to, until it is killed.
#[test]
fn play() {
    let Some(role) = Environment::from_process().get(ROLE).map(str::to_owned) else {
        return;
    };
    let (real, from_ended_thread) = role.split_once(' ').expect("two words");
    let place = place();
    let spec = if real == "true" {
        place.real()
    } else {
        place.stub(&format!("{READY}\nexec sleep 1000"))
    };
    let server = if from_ended_thread == "true" {
        let thread = std::thread::Builder::new().name("short-lived".into());
        let thread = thread.spawn(move || start(&spec)).expect("a thread");
        thread.join().expect("a server")
    } else {
        start(&spec)
    };
    let mut output = std::io::stdout();
    let root = place.home.root().display();
    writeln!(output, "\nserver {} {root}", server.pid()).expect("a reader");
    output.flush().expect("a reader");
    loop {
        std::thread::park();
    }
}
