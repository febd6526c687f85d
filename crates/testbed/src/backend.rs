//! A server of somebody else's: started on free ports, asked over HTTP, ended with all its
//! processes.

use crate::until;
use serde_json::Value as Json;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use ureq::Agent;
use ureq::http::Response;

/// The large ones take 10 s on a machine of their own, and other tests want the processors too.
const START: Duration = Duration::from_secs(180);
/// What an answer may take before it counts as none.
const ANSWER: Duration = Duration::from_secs(30);
/// Lines of its log that are shown when a test fails.
const SHOWN: usize = 60;

/// A server of somebody else's, running. It ends with this value, and shows the end of its log if
/// the test is failing.
#[derive(Debug)]
pub struct Backend {
    child: Child,
    agent: Agent,
    port: u16,
    log: PathBuf,
}

impl Backend {
    /// Runs the command that `command` makes of two free ports and waits until the first of them
    /// answers `GET ready` with 200, or takes a connection where it has no such page. Its output
    /// goes into the file `log`.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(log: &Path, ready: Option<&str>, command: impl Fn([u16; 2]) -> Command) -> Self {
        // Few servers take port 0. Another program may take a free port before they do, and they
        // end then.
        for _ in 0..5 {
            let ports = free_ports();
            let mut backend = Self::spawn(log, ports[0], &mut command(ports));
            let is_ready = until("the server is ready", START, || {
                let ended = backend.child.try_wait().expect("a child of ours").is_some();
                let answers = !ended && backend.answers(ready);
                (ended || answers).then_some(answers)
            });
            if is_ready {
                return backend;
            }
        }
        panic!("a server ended before it was ready, five times");
    }

    fn spawn(log: &Path, port: u16, command: &mut Command) -> Self {
        let output = File::create(log).expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("the log file"))
            .stderr(output)
            // Workers that it starts end with it.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
        let config = Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .timeout_global(Some(ANSWER));
        Self {
            child,
            agent: config.build().new_agent(),
            port,
            log: log.to_owned(),
        }
    }

    fn answers(&self, ready: Option<&str>) -> bool {
        match ready {
            Some(path) => self.get(path).is_some(),
            None => TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok(),
        }
    }

    /// `http://127.0.0.1:` and its first port.
    pub fn url(&self) -> String {
        format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// What it answers to a `GET`, if that is 200.
    pub fn get(&self, path: &str) -> Option<String> {
        let asked = self.agent.get(format!("{}{path}", self.url())).call();
        body(asked)
            .filter(|(status, _)| *status == 200)
            .map(|(_, text)| text)
    }

    /// What it answers to a `GET` with JSON; `None` if it does not.
    pub fn get_json(&self, path: &str) -> Option<Json> {
        serde_json::from_str(&self.get(path)?).ok()
    }

    /// What it answers to a `POST` of JSON with JSON.
    ///
    /// # Panics
    /// When it refuses.
    pub fn post_json(&self, path: &str, question: &Json) -> Json {
        let asked = self
            .agent
            .post(format!("{}{path}", self.url()))
            .content_type("application/json")
            .send(question.to_string());
        let (status, text) = body(asked).expect("an answer");
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).expect("an answer in JSON")
    }
}

fn body(asked: Result<Response<ureq::Body>, ureq::Error>) -> Option<(u16, String)> {
    let mut response = asked.ok()?;
    let text = response.body_mut().read_to_string().ok()?;
    Some((response.status().as_u16(), text))
}

#[expect(
    clippy::print_stderr,
    reason = "the test harness shows it where the test fails"
)]
impl Drop for Backend {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let killed = Command::new("kill").args(["-KILL", "--", &group]).status();
        // Should that program be missing, at least the first process ends.
        drop(killed);
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let text = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let shown = &lines[lines.len().saturating_sub(SHOWN)..];
            eprintln!("the server's last lines:\n{}", shown.join("\n"));
        }
    }
}

/// Ports of the loopback that nobody listens on, different from each other.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}
