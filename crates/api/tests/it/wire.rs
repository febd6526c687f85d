//! A server that speaks scripted bytes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What to do with one request.
pub(crate) enum Script {
    /// Answer and keep the connection.
    Reply(String),
    /// Answer and close.
    ReplyThenClose(String),
    /// Answer, keep the connection, and close it when the next request arrives on it.
    ReplyThenCloseOnNext(String),
    /// Answer and wait until the client closes.
    ReplyThenWaitForClose(String),
}

pub(crate) struct Request {
    /// Path and query.
    pub(crate) target: String,
    pub(crate) body: String,
}

pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
    closed: Receiver<()>,
}

impl Served {
    pub(crate) fn requests(&self) -> std::sync::MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn wait_for_close(&self) {
        self.closed
            .recv_timeout(Duration::from_secs(10))
            .expect("the client closes");
    }
}

/// Serves the scripts in order, one a request, however many connections the client opens.
pub(crate) fn serve(scripts: Vec<Script>) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (requests, connections) = (
        Arc::<Mutex<Vec<Request>>>::default(),
        Arc::<AtomicUsize>::default(),
    );
    let (close, closed) = sync_channel(1);
    let (seen, opened) = (Arc::clone(&requests), Arc::clone(&connections));
    let mut scripts = scripts.into_iter();
    let work = move || {
        'connection: for stream in listener.incoming() {
            opened.fetch_add(1, Ordering::SeqCst);
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while let Some(request) = read_request(&mut reader) {
                let Some(script) = scripts.next() else { return };
                seen.lock().unwrap().push(request);
                match script {
                    Script::Reply(reply) => send(&mut stream, &reply),
                    Script::ReplyThenClose(reply) => {
                        send(&mut stream, &reply);
                        continue 'connection;
                    }
                    Script::ReplyThenCloseOnNext(reply) => {
                        send(&mut stream, &reply);
                        read_request(&mut reader);
                        continue 'connection;
                    }
                    Script::ReplyThenWaitForClose(reply) => {
                        send(&mut stream, &reply);
                        assert_eq!(reader.read(&mut [0]).unwrap_or(0), 0);
                        close.send(()).unwrap();
                    }
                }
            }
        }
    };
    std::thread::Builder::new()
        .name("stub server".into())
        .spawn(work)
        .unwrap();
    Served {
        address,
        requests,
        connections,
        closed,
    }
}

fn send(stream: &mut TcpStream, reply: &str) {
    stream.write_all(reply.as_bytes()).unwrap();
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut length = 0;
    let mut target = String::new();
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if target.is_empty() {
            target.extend(line.split(' ').nth(1));
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).unwrap();
    Some(Request { target, body })
}

/// A whole JSON answer.
pub(crate) fn json(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// One event.
pub(crate) fn chat_event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// A whole chunked stream of events, one a chunk.
pub(crate) fn event_stream(events: &[&str]) -> String {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks: Vec<String> = events
        .iter()
        .map(|event| format!("{:x}\r\n{event}\r\n", event.len()))
        .collect();
    format!("{head}{}0\r\n\r\n", chunks.concat())
}
