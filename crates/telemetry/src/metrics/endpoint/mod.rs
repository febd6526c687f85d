//! The address that Prometheus scrapes: `GET /metrics`.
//!
//! A thread takes connections, one more serves each: one request a connection, so that a scraper
//! that goes away holds nothing. How many there are, how long a head may be and how long an
//! exchange may take is bounded; whoever is slower is cut off.

mod request;

use super::{Format, Metrics};
use crate::TelemetryError;
use request::Request;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Scrapes at once; more are told to come later.
const CONNECTIONS: usize = 8;
/// From the connection to the last byte of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
const THREAD: &str = "metrics-endpoint";

/// A running endpoint. Dropping it ends it; scrapes under way come to their end.
#[derive(Debug)]
pub struct PrometheusEndpoint {
    /// The process that the thread runs in.
    owner: u32,
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl PrometheusEndpoint {
    /// Listens on this address; port 0 lets the system choose.
    pub fn start(address: SocketAddr, metrics: Arc<Metrics>) -> Result<Self, TelemetryError> {
        let refused = |source| TelemetryError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let ended = Arc::new(AtomicBool::new(false));
        let server = Server {
            metrics,
            // Whoever is told to listen for everybody is asked by any name.
            loopback: address.ip().is_loopback(),
            busy: Arc::new(AtomicUsize::new(0)),
        };
        let thread = {
            let ended = ended.clone();
            thread::Builder::new()
                .name(THREAD.to_owned())
                .spawn(move || {
                    for connection in listener.incoming() {
                        if ended.load(Ordering::Acquire) {
                            return;
                        }
                        match connection {
                            Ok(connection) => server.take(connection),
                            // Out of files or memory: it passes, and spinning would not help.
                            Err(_) => thread::sleep(Duration::from_millis(100)),
                        }
                    }
                })
                .map_err(|source| TelemetryError::Thread {
                    name: THREAD,
                    source,
                })?
        };
        Ok(Self {
            owner: std::process::id(),
            address,
            ended,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for PrometheusEndpoint {
    fn drop(&mut self) {
        // A fork has no such thread, and the address is still the other process's.
        if self.owner != std::process::id() {
            return;
        }
        self.ended.store(true, Ordering::Release);
        // The thread waits for a connection: it gets one.
        let mut here = self.address;
        if here.ip().is_unspecified() {
            here.set_ip(match here.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let woken = TcpStream::connect_timeout(&here, Duration::from_secs(1));
        if let Some(thread) = self.thread.take().filter(|_| woken.is_ok()) {
            // A panic in it has nothing to say here.
            drop(thread.join());
        }
    }
}

struct Server {
    metrics: Arc<Metrics>,
    loopback: bool,
    busy: Arc<AtomicUsize>,
}

/// One connection's share of those allowed.
struct Turn(Arc<AtomicUsize>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Server {
    fn take(&self, connection: TcpStream) {
        let before = self.busy.fetch_add(1, Ordering::AcqRel);
        let turn = Turn(self.busy.clone());
        if before >= CONNECTIONS {
            // Without waiting for its head: it may never come.
            let answer = Answer::plain("503 Service Unavailable", "too many scrapes at once\n");
            let mut exchange = Exchange::new(connection, Duration::from_millis(100));
            exchange.write(&answer.bytes(true));
            return;
        }
        let (metrics, loopback) = (self.metrics.clone(), self.loopback);
        let served = thread::Builder::new()
            .name("metrics-scrape".to_owned())
            .spawn(move || {
                let _turn = turn;
                serve(connection, &metrics, loopback);
            });
        // Without a thread the connection is closed, which says enough.
        drop(served);
    }
}

fn serve(connection: TcpStream, metrics: &Metrics, loopback: bool) {
    let mut exchange = Exchange::new(connection, PATIENCE);
    let (answer, with_body) = match exchange.head() {
        Ok(head) => match Request::parse(&head) {
            None => (Answer::plain("400 Bad Request", "no request\n"), true),
            Some(request) => {
                let with_body = request.method != "HEAD";
                (answer(&request, metrics, loopback), with_body)
            }
        },
        Err(Cut::TooLong) => {
            let status = "431 Request Header Fields Too Large";
            (Answer::plain(status, "too long a head\n"), true)
        }
        Err(Cut::Gone) => return,
    };
    exchange.write(&answer.bytes(with_body));
    exchange.close();
}

fn answer(request: &Request, metrics: &Metrics, loopback: bool) -> Answer {
    if loopback && !request.is_for_loopback() {
        return Answer::plain("421 Misdirected Request", "this host is not served here\n");
    }
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return Answer::plain("405 Method Not Allowed", "only GET and HEAD\n");
    }
    if request.path != "/metrics" {
        return Answer::plain("404 Not Found", "metrics are at /metrics\n");
    }
    let format = Format::accepted(&request.accept);
    Answer {
        status: "200 OK",
        kind: format.content_type(),
        body: metrics.prometheus(format),
    }
}

struct Answer {
    status: &'static str,
    kind: &'static str,
    body: String,
}

impl Answer {
    fn plain(status: &'static str, body: &str) -> Self {
        Self {
            status,
            kind: "text/plain; charset=utf-8",
            body: body.to_owned(),
        }
    }

    fn bytes(&self, with_body: bool) -> Vec<u8> {
        let Self { status, kind, body } = self;
        let allow = if status.starts_with("405") {
            "Allow: GET, HEAD\r\n"
        } else {
            ""
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\n{allow}Connection: close\r\n\r\n",
            body.len()
        );
        let mut bytes = head.into_bytes();
        if with_body {
            bytes.extend_from_slice(body.as_bytes());
        }
        bytes
    }
}

/// Why a head did not come.
enum Cut {
    TooLong,
    /// The other side went away or was too slow.
    Gone,
}

/// One request and its answer, over by a certain time.
struct Exchange {
    connection: TcpStream,
    until: Instant,
}

impl Exchange {
    fn new(connection: TcpStream, patience: Duration) -> Self {
        Self {
            connection,
            until: Instant::now() + patience,
        }
    }

    /// What is left of the time. Zero would mean for ever.
    fn left(&self) -> Option<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    fn head(&mut self) -> Result<Vec<u8>, Cut> {
        let mut head = Vec::new();
        let mut part = [0; 1024];
        loop {
            let left = self.left().ok_or(Cut::Gone)?;
            let limited = self.connection.set_read_timeout(Some(left));
            let read = limited.and_then(|()| self.connection.read(&mut part));
            match read {
                Ok(read) if read > 0 => head.extend_from_slice(&part[..read]),
                _ => return Err(Cut::Gone),
            }
            let end = request::end(&head);
            if end.unwrap_or(head.len()) > request::LONGEST {
                return Err(Cut::TooLong);
            }
            if let Some(end) = end {
                head.truncate(end);
                return Ok(head);
            }
        }
    }

    fn write(&mut self, mut bytes: &[u8]) {
        while let (Some(left), false) = (self.left(), bytes.is_empty()) {
            let limited = self.connection.set_write_timeout(Some(left));
            match limited.and_then(|()| self.connection.write(bytes)) {
                Ok(written) if written > 0 => bytes = &bytes[written..],
                // Whoever does not take the answer has no use for it.
                _ => return,
            }
        }
    }

    /// Waits for the other side to close, so that what it still sends does not reset the
    /// connection under an answer that is on its way.
    fn close(mut self) {
        if self.connection.shutdown(std::net::Shutdown::Write).is_err() {
            return;
        }
        let mut rest = [0; 1024];
        let mut taken = 0;
        while let Some(left) = self.left().filter(|_| taken < request::LONGEST) {
            let limited = self.connection.set_read_timeout(Some(left));
            match limited.and_then(|()| self.connection.read(&mut rest)) {
                Ok(read) if read > 0 => taken += read,
                _ => return,
            }
        }
    }
}
