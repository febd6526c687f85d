//! One HTTP/1.1 exchange by hand, so that every arrival is dated as close to the socket as can be.

use llamatelemetry_record::{Delivery, Endpoint, Observed, PhaseClock, StreamScanner};
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// An answer and what the scanner made of it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) delivery: Delivery,
    pub(crate) observed: Observed,
    /// The body, without transfer coding.
    pub(crate) body: Vec<u8>,
    pub(crate) sent: Instant,
    /// From then to the body's end.
    pub(crate) wall: Duration,
}

impl Answer {
    /// `timings` of the body, wherever it stands.
    pub(crate) fn timings(&self) -> Option<serde_json::Value> {
        let text = String::from_utf8_lossy(&self.body);
        let (_, rest) = text.rsplit_once("\"timings\":")?;
        serde_json::Deserializer::from_str(rest)
            .into_iter::<serde_json::Value>()
            .next()?
            .ok()
    }
}

pub(crate) fn post(
    socket: &Path,
    endpoint: Endpoint,
    body: &serde_json::Value,
    headers: &mut dyn FnMut(),
) -> io::Result<Answer> {
    let body = body.to_string();
    let path = endpoint.path();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(socket, endpoint, &request, headers)
}

pub(crate) fn get(socket: &Path, path: &str) -> io::Result<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    exchange(socket, Endpoint::ChatCompletions, &request, &mut || {})
}

fn exchange(
    socket: &Path,
    endpoint: Endpoint,
    request: &str,
    headers: &mut dyn FnMut(),
) -> io::Result<Answer> {
    let mut connection = UnixStream::connect(socket)?;
    let clock = PhaseClock::start();
    let sent = clock.sent();
    connection.write_all(request.as_bytes())?;
    let mut scanner = StreamScanner::new(endpoint, clock);
    let mut head = Vec::new();
    let mut body = Vec::new();
    let mut coding: Option<Coding> = None;
    let mut reply = (0, Delivery::Whole);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = connection.read(&mut buffer)?;
        let at = Instant::now();
        if read == 0 {
            break;
        }
        let mut bytes = &buffer[..read];
        if coding.is_none() {
            head.extend_from_slice(bytes);
            let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else {
                continue;
            };
            let text = String::from_utf8_lossy(&head[..end]).into_owned();
            reply = (status(&text)?, delivery(&text));
            scanner.headers(reply.0, reply.1, at);
            headers();
            coding = Some(Coding::of(&text));
            bytes = &buffer[read - (head.len() - end - 4)..read];
        }
        if let Some(coding) = &mut coding {
            let from = body.len();
            coding.decode(bytes, &mut body);
            scanner.push(&body[from..], at);
        }
    }
    let ended = Instant::now();
    let (status, delivery) = reply;
    Ok(Answer {
        status,
        delivery,
        observed: scanner.finish(ended),
        body,
        sent,
        wall: ended - sent,
    })
}

fn status(head: &str) -> io::Result<u16> {
    head.split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| io::Error::other("no status line"))
}

fn delivery(head: &str) -> Delivery {
    Delivery::of_content_type(header(head, "content-type"))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// The body's transfer coding.
enum Coding {
    Plain,
    Chunked { size_line: Vec<u8>, left: usize },
}

impl Coding {
    fn of(head: &str) -> Self {
        match header(head, "transfer-encoding") {
            Some(coding) if coding.eq_ignore_ascii_case("chunked") => Self::Chunked {
                size_line: Vec::new(),
                left: 0,
            },
            _ => Self::Plain,
        }
    }

    fn decode(&mut self, mut bytes: &[u8], body: &mut Vec<u8>) {
        let Self::Chunked { size_line, left } = self else {
            body.extend_from_slice(bytes);
            return;
        };
        while let Some((&byte, rest)) = bytes.split_first() {
            if *left > 0 {
                let taken = bytes.len().min(*left);
                body.extend_from_slice(&bytes[..taken]);
                *left -= taken;
                bytes = &bytes[taken..];
                continue;
            }
            bytes = rest;
            size_line.push(byte);
            // A chunk's own end of line comes before the next size.
            if byte == b'\n' {
                let line = String::from_utf8_lossy(size_line);
                *left = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
                size_line.clear();
            }
        }
    }
}
