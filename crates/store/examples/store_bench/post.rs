//! Posts spans by OTLP/HTTP, over some connections, as fast as they are answered.

use crate::load::{BATCH, Load, Planted, trace_id};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What is posted, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Chats over four connections.
    Chats,
    /// Growing conversations over four connections.
    Agent,
    /// Chats over one connection.
    Alone,
}

/// Before what was not taken is sent again.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_nanos()).unwrap()
}

/// A connection that asks one thing after the other.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    host: String,
    path: String,
}

impl Client {
    /// To `http://HOST:PORT/PATH`.
    pub(crate) fn new(url: &str) -> Self {
        let (host, path) = url
            .strip_prefix("http://")
            .and_then(|rest| rest.split_once('/'))
            .unwrap();
        let stream = TcpStream::connect(host).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream: BufReader::new(stream),
            host: host.to_owned(),
            path: path.to_owned(),
        }
    }

    /// The status of the answer.
    pub(crate) fn post(&mut self, body: &[u8]) -> u16 {
        let head = format!(
            "content-type: application/x-protobuf\r\ncontent-length: {}\r\n",
            body.len()
        );
        self.ask("POST", &head, body)
    }

    fn ask(&mut self, method: &str, head: &str, body: &[u8]) -> u16 {
        let (host, path) = (&self.host, &self.path);
        let head = format!("{method} /{path} HTTP/1.1\r\nhost: {host}\r\n{head}\r\n");
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let (mut length, mut chunked) = (0, false);
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap();
            }
            chunked |= name.eq_ignore_ascii_case("transfer-encoding");
        }
        if chunked {
            while self.chunk() {}
        } else {
            self.stream.read_exact(&mut vec![0; length]).unwrap();
        }
        status
    }

    /// Whether another one follows.
    fn chunk(&mut self) -> bool {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let length = usize::from_str_radix(line.trim(), 16).unwrap();
        self.stream.read_exact(&mut vec![0; length + 2]).unwrap();
        length > 0
    }
}

/// Gets these, one after the other, over one connection each; the middle of their times.
pub(crate) fn get(urls: &[&str]) -> Value {
    let mut all: Vec<f64> = urls
        .iter()
        .map(|url| {
            let mut client = Client::new(url);
            let started = Instant::now();
            assert_eq!(client.ask("GET", "", &[]), 200, "{url}");
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    all.sort_by(f64::total_cmp);
    json!({ "ms": all[all.len() / 2] })
}

pub(crate) fn post(url: &str, texts: &Path, spans: u64, way: Way) -> Value {
    let agent = way == Way::Agent;
    let connections = if way == Way::Alone { 1 } else { 4 };
    let mut load = Load::new(texts, agent, Planted::Nothing, now());
    let requests = usize::try_from(spans).unwrap().div_ceil(BATCH);
    let bodies: Vec<Vec<u8>> = (0..requests).map(|_| load.body(BATCH)).collect();
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    let (next, again) = (AtomicUsize::new(0), AtomicU64::new(0));
    let started = Instant::now();
    thread::scope(|scope| {
        for number in 0..connections {
            let work = || {
                let mut client = Client::new(url);
                while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                    loop {
                        match client.post(body) {
                            200 => break,
                            429 | 503 => {
                                again.fetch_add(1, Ordering::Relaxed);
                                thread::sleep(PAUSE);
                            }
                            status => panic!("answered {status}"),
                        }
                    }
                }
            };
            thread::Builder::new()
                .name(format!("post-{number}"))
                .spawn_scoped(scope, work)
                .unwrap();
        }
    });
    let seconds = started.elapsed().as_secs_f64();
    let spans = (requests * BATCH) as f64;
    // One of the middle, for whoever looks for it.
    let middle = trace_id((requests * BATCH / if agent { 42 } else { 8 }) as u64);
    json!({
        "spans": spans,
        "bytes_per_span": bytes as f64 / spans,
        "spans_per_s": spans / seconds,
        "refused": again.into_inner(),
        "trace": middle.map(|byte| format!("{byte:02x}")).concat(),
    })
}
