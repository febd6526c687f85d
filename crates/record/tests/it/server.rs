//! A llama-server of the tests' own, on a Unix socket.

use crate::exchange::{self, Answer};
use llamatelemetry_record::Endpoint;
use llamatelemetry_settings::Environment;
use llamatelemetry_testbed::{ScratchHome, scratch_home, skip, until};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

pub(crate) struct Server {
    child: Child,
    home: ScratchHome,
}

/// What llama-server says of one request in its log, ms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Logged {
    pub(crate) prompt: f64,
    pub(crate) eval: f64,
}

impl Server {
    /// Starts one with these further arguments, or says why it cannot be.
    pub(crate) fn start(arguments: &[&str]) -> Option<Self> {
        let environment = Environment::from_process();
        let path = |name| environment.get_os(name).map(PathBuf::from);
        let (Some(program), Some(model)) = (
            path("LLAMATELEMETRY_TEST_LLAMA_SERVER"),
            path("LLAMATELEMETRY_TEST_MODEL"),
        ) else {
            skip(
                "no llama-server: LLAMATELEMETRY_TEST_LLAMA_SERVER and LLAMATELEMETRY_TEST_MODEL \
                 are not set (cargo xtask test sets them)",
            );
            return None;
        };
        let home = scratch_home();
        let log = File::create(home.root().join("log")).expect("a log file");
        let child = home
            .command(program)
            .args(["--ctx-size", "2048", "--parallel", "1", "--threads", "1"])
            .arg("--model")
            .arg(model)
            .arg("--host")
            .arg(home.root().join("s.sock"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log file"))
            .stderr(log)
            .spawn()
            .expect("llama-server can be started");
        let server = Self { child, home };
        until("llama-server is ready", Duration::from_secs(120), || {
            let answer = exchange::get(&server.socket(), "/health").ok()?;
            (answer.status == 200).then_some(())
        });
        Some(server)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.home.root().join("s.sock")
    }

    /// Asks and reads the whole answer through a scanner.
    pub(crate) fn ask(&self, endpoint: Endpoint, body: &serde_json::Value) -> Answer {
        self.ask_telling(endpoint, body, &mut || {})
    }

    /// The same, calling `headers` when the answer's headers arrive.
    pub(crate) fn ask_telling(
        &self,
        endpoint: Endpoint,
        body: &serde_json::Value,
        headers: &mut dyn FnMut(),
    ) -> Answer {
        exchange::post(&self.socket(), endpoint, body, headers).expect("an answer")
    }

    /// What the log says of the latest of `requests` requests. The lines are written before the
    /// answer's last event is, but by another thread.
    pub(crate) fn logged(&self, requests: usize) -> Logged {
        let log = self.home.root().join("log");
        until(
            "the request's times in the log",
            Duration::from_secs(10),
            || {
                let text = std::fs::read_to_string(&log).ok()?;
                let times = |what: &str| -> Vec<f64> {
                    text.lines()
                        .filter_map(|line| line.split_once("print_timing:")?.1.split_once(what))
                        .filter_map(|(_, rest)| {
                            rest.trim_start_matches([' ', '=']).split(' ').next()
                        })
                        .filter_map(|number| number.parse().ok())
                        .collect()
                };
                let (prompts, evals) = (times("| prompt eval time"), times("|        eval time"));
                (prompts.len() == requests && evals.len() == requests).then(|| Logged {
                    prompt: prompts[requests - 1],
                    eval: evals[requests - 1],
                })
            },
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
