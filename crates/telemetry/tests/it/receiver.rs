//! A collector of the tests' own: takes OTLP over HTTP and keeps what came.

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    /// The payload, by what the headers say of it.
    pub(crate) fn payload(&self) -> ExportTraceServiceRequest {
        let mut body = self.body.clone();
        if self
            .headers
            .get("content-encoding")
            .is_some_and(|coding| coding == "gzip")
        {
            body = Vec::new();
            GzDecoder::new(&self.body[..])
                .read_to_end(&mut body)
                .expect("gzip");
        }
        match self.headers["content-type"].as_str() {
            "application/x-protobuf" => {
                ExportTraceServiceRequest::decode(&body[..]).expect("protobuf")
            }
            "application/json" => serde_json::from_slice(&body).expect("JSON"),
            other => panic!("content type {other}"),
        }
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        let resources = self.payload().resource_spans;
        let scopes = resources
            .into_iter()
            .flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

/// Answers each request with the next of these; the last one stays.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: &'static str,
    pub(crate) headers: &'static str,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn ok() -> Self {
        Self::status("200 OK")
    }

    pub(crate) fn status(status: &'static str) -> Self {
        Self {
            status,
            headers: "",
            body: Vec::new(),
        }
    }
}

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    received: mpsc::Receiver<Received>,
}

impl Receiver {
    pub(crate) fn start(replies: &[Reply]) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), replies)
    }

    pub(crate) fn start_at(address: SocketAddr, replies: &[Reply]) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, received) = mpsc::sync_channel(65_536);
        let replies = Arc::new(Mutex::new(replies.to_vec()));
        thread::Builder::new()
            .name("receiver".to_owned())
            .spawn(move || {
                // Ends with the process: nothing else tells that no more will come.
                for connection in listener.incoming() {
                    let Ok(connection) = connection else { return };
                    let (sender, replies) = (sender.clone(), replies.clone());
                    thread::Builder::new()
                        .name("receiver-connection".to_owned())
                        .spawn(move || serve(&connection, &sender, &replies))
                        .expect("a thread");
                }
            })
            .expect("a thread");
        Self { address, received }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next request, waited for.
    pub(crate) fn next(&self) -> Received {
        self.received
            .recv_timeout(Duration::from_secs(30))
            .expect("a request")
    }

    /// A request that is there already.
    pub(crate) fn already(&self) -> Option<Received> {
        self.received.try_recv().ok()
    }
}

fn serve(
    mut connection: &TcpStream,
    sender: &mpsc::SyncSender<Received>,
    replies: &Mutex<Vec<Reply>>,
) {
    let mut reader = BufReader::new(connection);
    while let Some(received) = read(&mut reader) {
        drop(sender.send(received));
        let reply = {
            let mut replies = replies.lock().expect("no panic");
            if replies.len() > 1 {
                replies.remove(0)
            } else {
                replies[0].clone()
            }
        };
        let Reply {
            status,
            headers,
            body,
        } = reply;
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n",
            body.len()
        );
        let written = connection
            .write_all(head.as_bytes())
            .and_then(|()| connection.write_all(&body));
        if written.is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Received> {
    let mut line = String::new();
    let mut next_line = |reader: &mut BufReader<&TcpStream>| {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim_end().to_owned())
    };
    let path = next_line(reader)?.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let line = next_line(reader)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Received {
        path,
        headers,
        body,
    })
}
