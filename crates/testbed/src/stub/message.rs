//! One request as it came in, and the answer that the test's handler writes.

use super::stream::Stream;
use serde_json::Value;
use std::io::{self, Read as _, Write as _};
use std::time::Duration;

/// More than any request of a test.
const LARGEST_REQUEST: usize = 64 << 20;

/// One request as it came in.
#[derive(Debug, Clone)]
pub struct StubRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Header names in lower case, with their values, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Which connection it came on, counted from 0.
    pub connection: usize,
}

impl StubRequest {
    /// The value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// The answer to one request, written piece by piece. Every piece leaves at once.
pub struct StubReply {
    stream: Stream,
    unread: Vec<u8>,
    closed: bool,
}

impl std::fmt::Debug for StubReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StubReply").finish_non_exhaustive()
    }
}

impl StubReply {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            unread: Vec::new(),
            closed: false,
        }
    }

    /// A whole JSON answer.
    pub fn json(&mut self, status: u16, body: &Value) -> io::Result<()> {
        self.whole(status, "application/json", body.to_string().as_bytes())
    }

    /// A whole answer of known length.
    pub fn whole(&mut self, status: u16, content_type: &str, body: &[u8]) -> io::Result<()> {
        let length = body.len().to_string();
        self.head(
            status,
            &[("Content-Type", content_type), ("Content-Length", &length)],
        )?;
        self.raw(body)
    }

    /// The head of a chunked event stream: `200`, `text/event-stream`.
    pub fn stream(&mut self) -> io::Result<()> {
        self.head(
            200,
            &[
                ("Content-Type", "text/event-stream"),
                ("Transfer-Encoding", "chunked"),
            ],
        )
    }

    /// One server-sent event holding JSON, as a chunk of its own.
    pub fn event(&mut self, data: &Value) -> io::Result<()> {
        self.chunk(format!("data: {data}\n\n").as_bytes())
    }

    /// One chunk of a chunked answer.
    pub fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
        framed.extend_from_slice(bytes);
        framed.extend_from_slice(b"\r\n");
        self.raw(&framed)
    }

    /// The end of a chunked answer.
    pub fn end(&mut self) -> io::Result<()> {
        self.raw(b"0\r\n\r\n")
    }

    /// Status line and headers, exactly these.
    pub fn head(&mut self, status: u16, headers: &[(&str, &str)]) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {status} Stub\r\n").into_bytes();
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n")?;
        }
        head.extend_from_slice(b"\r\n");
        self.raw(&head)
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Ends the connection here, in mid-answer if need be.
    pub fn close(&mut self) {
        self.closed = true;
        self.stream.close();
    }

    /// Waits for the client to go away; whether it did before the deadline.
    pub fn client_gone_within(&mut self, deadline: Duration) -> io::Result<bool> {
        self.stream.set_read_timeout(Some(deadline))?;
        let mut buffer = [0; 1024];
        let gone = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break true,
                Ok(read) => self.unread.extend_from_slice(&buffer[..read]),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => break false,
                    _ => break true,
                },
            }
        };
        self.stream.set_read_timeout(None)?;
        Ok(gone)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The next request on this connection; `None` when the client has closed it.
    pub(super) fn next_request(&mut self, connection: usize) -> io::Result<Option<StubRequest>> {
        let head_length = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read_more()? {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&self.unread[..head_length]).into_owned();
        let mut lines = head.lines();
        let mut first = lines.next().unwrap_or_default().split(' ');
        let method = first.next().unwrap_or_default().to_owned();
        let path = first.next().unwrap_or_default().to_owned();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        self.unread.drain(..head_length);
        let find = |name: &str| headers.iter().find(|(header, _)| header == name);
        let body = if find("transfer-encoding").is_some() {
            self.chunked_body()?
        } else {
            let length = find("content-length")
                .map_or(Ok(0), |(_, value)| value.parse())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            self.take(length)?
        };
        Ok(Some(StubRequest {
            method,
            path,
            headers,
            body,
            connection,
        }))
    }

    fn chunked_body(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(at) = self.unread.windows(2).position(|two| two == b"\r\n") {
                    break self.unread.drain(..at + 2).collect::<Vec<u8>>();
                }
                if !self.read_more()? {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            };
            let size = String::from_utf8_lossy(&line);
            let size = usize::from_str_radix(size.trim(), 16)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            body.extend(self.take(size)?);
            self.take(2)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        if length > LARGEST_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        while self.unread.len() < length {
            if !self.read_more()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.unread.drain(..length).collect())
    }

    fn read_more(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 8192];
        let read = self.stream.read(&mut buffer)?;
        self.unread.extend_from_slice(&buffer[..read]);
        Ok(read > 0)
    }
}
