//! A program that owns a server, played by this test binary itself, so that it can be killed.

use crate::setup::{READY, place, start};
use llamatelemetry_settings::Environment;
use std::io::{BufRead as _, BufReader, Write as _};
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

/// Starts an owner and gives it with the process id of its server. `None` where there is no real
/// server.
pub(crate) fn launch(role: Role) -> Option<(Child, u32)> {
    if role.real {
        place().real()?;
    }
    let text = format!("{} {}", role.real, role.from_ended_thread);
    let mut owner = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "owner::play", "--nocapture"])
        .env(ROLE, text)
        .stdout(Stdio::piped())
        .spawn()
        .expect("an owner");
    let output = BufReader::new(owner.stdout.take().expect("its output"));
    let pid = output
        .lines()
        .find_map(|line| line.expect("a line").strip_prefix("server ")?.parse().ok())
        .expect("the server's process id");
    Some((owner, pid))
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
        place.real().expect("a real server")
    } else {
        place.stub(&format!("{READY}\nexec sleep 1000"))
    };
    let server = if from_ended_thread == "true" {
        std::thread::spawn(move || start(&spec))
            .join()
            .expect("a server")
    } else {
        start(&spec)
    };
    let mut output = std::io::stdout();
    writeln!(output, "\nserver {}", server.pid()).expect("a reader");
    output.flush().expect("a reader");
    loop {
        std::thread::park();
    }
}
