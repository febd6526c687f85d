//! The life of `llt serve`: found and stopped by other programs of its home, settings read anew,
//! requests finished at the end, systemd told.

use crate::llt::Llt;
use crate::signals::signal;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A running `llt serve`, killed at the end.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start(llt: &Llt, args: &[&str]) -> Self {
        let ports = ["--port", "0", "--otlp-http", "0", "--otlp-grpc", "0"];
        let mut command = llt.command(&["serve", "--json"]);
        let mut child = command
            .args(ports)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let told: Value = serde_json::from_str(&line).unwrap();
        let address = told["url"].as_str().unwrap();
        let address = address.trim_start_matches("http://").to_owned();
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        let limit = Some(Duration::from_secs(30));
        stream.set_read_timeout(limit).unwrap();
        stream
    }

    fn status(&self, line: &str) -> u16 {
        let mut stream = self.connect();
        let request =
            format!("GET /props HTTP/1.1\r\nHost: localhost\r\n{line}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Its exit code and what it said on stderr, once it has ended.
    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn until(what: &str, check: impl Fn() -> bool) {
    llamatelemetry_testbed::until(what, Duration::from_secs(10), || check().then_some(()));
}

#[test]
fn other_programs_find_it_and_stop_it() {
    let llt = Llt::new();
    let nothing = llt.run(&["ps"]);
    assert!(
        nothing.stderr.contains("nothing runs"),
        "{}",
        nothing.text()
    );
    let serving = Serving::start(&llt, &[]);
    let listed = llt.run(&["ps", "--json"]).json();
    let server = &listed["servers"][0];
    assert_eq!(server["pid"], serving.child.id());
    assert_eq!(server["url"], format!("http://{}", serving.address));
    let unknown = llt.run(&["stop", "no-such-model"]);
    assert_eq!(unknown.code, Some(1), "{}", unknown.text());
    let stopped = llt.run(&["stop"]);
    assert_eq!(stopped.code, Some(0), "{}", stopped.text());
    assert_eq!(serving.end().0, Some(0));
    assert_eq!(
        llt.run(&["ps", "--json"]).json()["servers"],
        serde_json::json!([])
    );
}

#[test]
fn a_key_counts_from_the_moment_it_is_made() {
    let llt = Llt::new();
    let serving = Serving::start(&llt, &[]);
    assert_ne!(serving.status(""), 401);
    let key = llt.run(&["keys", "add", "laptop"]).stdout;
    let bearer = format!("Authorization: Bearer {}\r\n", key.trim());
    until("the key to be needed", || serving.status("") == 401);
    assert_ne!(serving.status(&bearer), 401);
    llt.run(&["keys", "revoke", "laptop"]);
    until("the key to be gone", || serving.status(&bearer) == 401);
}

#[test]
fn settings_are_read_anew_when_it_is_told() {
    let llt = Llt::new();
    let host = "Host: llm.example\r\n";
    let mut serving = Serving::start(&llt, &[]);
    let address = serving.address.clone();
    let status = || {
        let mut stream = TcpStream::connect(&address).unwrap();
        let request = format!("GET /props HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(status(), "403");
    llt.file("home/config.toml", "[serve]\nhosts = ['llm.example']\n");
    signal(serving.child.id(), "-HUP");
    until("the host to be taken", || status() != "403");
    // What is wrong is told, and the old settings stay.
    llt.file("home/config.toml", "[serve]\nhosts = 7\n");
    signal(serving.child.id(), "-HUP");
    let stderr = serving.child.stderr.take().unwrap();
    let told = BufReader::new(stderr)
        .lines()
        .map(Result::unwrap)
        .find(|line| line.contains("the old settings stay"));
    assert!(told.is_some_and(|line| line.contains("serve.hosts")));
    assert_ne!(status(), "403");
}

#[test]
fn systemd_is_told() {
    let llt = Llt::new();
    let path = llt.root().join("notify");
    let systemd = UnixDatagram::bind(&path).unwrap();
    systemd
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let llt = llt
        .with("NOTIFY_SOCKET", &path)
        .with("WATCHDOG_USEC", "200000");
    let serving = Serving::start(&llt, &[]);
    let next = |wanted: &str| {
        let since = Instant::now();
        loop {
            let mut line = [0; 256];
            let length = systemd.recv(&mut line).unwrap();
            let text = String::from_utf8_lossy(&line[..length]).into_owned();
            if text.starts_with(wanted) {
                return text;
            }
            assert!(since.elapsed() < Duration::from_secs(20), "no {wanted}");
        }
    };
    next("READY=1");
    next("WATCHDOG=1");
    next("WATCHDOG=1");
    signal(serving.child.id(), "-HUP");
    assert!(next("RELOADING=1").contains("MONOTONIC_USEC="));
    next("READY=1");
    signal(serving.child.id(), "-TERM");
    next("STOPPING=1");
    assert_eq!(serving.end().0, Some(0));
}

#[test]
fn what_runs_is_finished_at_the_end() {
    let llt = Llt::with_runtime();
    let model = llamatelemetry_testbed::smollm2().path;
    let serving = Serving::start(&llt, &[model.to_str().unwrap(), "--access-log"]);
    let mut stream = serving.connect();
    let body = r#"{"messages":[{"role":"user","content":"Count."}],"stream":true,"max_tokens":60}"#;
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = vec![0; 1];
    stream.read_exact(&mut answer).unwrap();
    signal(serving.child.id(), "-TERM");
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("data: [DONE]"), "{answer}");
    let (code, said) = serving.end();
    assert_eq!(code, Some(0), "{said}");
    let line = said
        .lines()
        .find(|line| line.contains("/v1/chat/completions"));
    let line = line.unwrap_or_else(|| panic!("no line of the request: {said}"));
    for part in ["status=200", "trace_id=", "whole=true", "response_bytes="] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn a_run_is_answered_by_the_server_that_runs() {
    let llt = Llt::with_runtime();
    let model = llamatelemetry_testbed::smollm2().path;
    let model = model.to_str().unwrap();
    let question = [
        "run",
        model,
        "Say hello.",
        "--temperature",
        "0",
        "--seed",
        "1",
        "-n",
        "16",
        "--json",
    ];
    let timed = |more: &[&str]| {
        let since = Instant::now();
        let ran = llt.run(&[&question, more].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.text());
        (since.elapsed(), ran)
    };
    let (own_time, own) = timed(&[]);
    let serving = Serving::start(&llt, &[model]);
    let used = format!(
        "answered by the server that runs (process {})",
        serving.child.id()
    );
    let (warm_time, warm) = timed(&[]);
    assert!(warm.stderr.contains(&used), "{}", warm.text());
    assert!(warm_time < own_time, "{warm_time:?}, alone {own_time:?}");
    let (own, warm) = (own.json(), warm.json());
    for key in [
        "schema_version",
        "text",
        "finish_reason",
        "operation",
        "llama_build",
    ] {
        assert_eq!(own[key], warm[key], "{key}");
    }
    assert_eq!(
        own["usage"]["completion_tokens"],
        warm["usage"]["completion_tokens"]
    );
    assert_eq!(warm["trace_id"].as_str().unwrap().len(), 32);
    for part in [
        &warm["slot"],
        &warm["timings"]["queue_ms"],
        &warm["timings"]["prefill_ms"],
    ] {
        assert!(part.is_number(), "{warm}");
    }
    // Its record is in the store of the home, as that of an own run is.
    let trace = warm["trace_id"].as_str().unwrap();
    until("the trace", || {
        llt.run(&["trace", "show", trace]).code == Some(0)
    });
    // What is to run in another way has a server of its own.
    for other in [&["--isolated"][..], &["--context", "512"]] {
        let (_, ran) = timed(other);
        assert!(!ran.stderr.contains("answered by"), "{}", ran.text());
    }
}
