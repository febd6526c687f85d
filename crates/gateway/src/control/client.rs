//! The other side of the socket.

use super::{AskChat, CHAT, RELOAD, STATUS, STOP, Status, sockets};
use crate::GatewayError;
use bytes::{Bytes, BytesMut};
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use llamatelemetry::{Delta, InferResult};
use llamatelemetry_settings::Settings;
use serde::Deserialize;
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// A gateway that does not answer in this time is not asked any further.
const PATIENCE: Duration = Duration::from_secs(5);

/// An `llt serve` of this home that runs.
#[derive(Debug)]
pub struct Running {
    /// What it says of itself.
    pub status: Status,
    socket: PathBuf,
}

/// Every `llt serve` of this home that runs. Sockets that the dead left are removed.
pub async fn running(settings: &Settings) -> Result<Vec<Running>, GatewayError> {
    let mut found = Vec::new();
    for socket in sockets(&settings.home, &settings.environment)? {
        match ask(&socket, Method::GET, STATUS, None).await {
            Ok(answer) => match serde_json::from_slice(&answer) {
                Ok(status) => found.push(Running { status, socket }),
                Err(error) => tracing::debug!(%error, "a server of another version"),
            },
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                // Somebody else may have been quicker.
                drop(std::fs::remove_file(&socket));
            }
            Err(error) => tracing::debug!(%error, "a server does not answer"),
        }
    }
    Ok(found)
}

impl Running {
    /// Whether it serves a model under this name.
    pub fn serves(&self, model: &str) -> bool {
        self.status.models.iter().any(|served| served.name == model)
    }

    /// Has it end, once the requests in flight are done.
    pub async fn stop(&self) -> Result<(), GatewayError> {
        self.tell(STOP, json!({})).await
    }

    /// Has it unload a model, once its requests are done.
    pub async fn unload(&self, model: &str) -> Result<(), GatewayError> {
        self.tell(STOP, json!({ "model": model })).await
    }

    /// Has it read its settings and keys anew.
    pub async fn reload(&self) -> Result<(), GatewayError> {
        self.tell(RELOAD, json!({})).await
    }

    async fn tell(&self, path: &str, what: Value) -> Result<(), GatewayError> {
        let told = ask(&self.socket, Method::POST, path, Some(what)).await;
        told.map(drop).map_err(|source| GatewayError::Socket {
            path: self.socket.clone(),
            source,
        })
    }
}

/// An answer on its way from a gateway of this home. Dropping it cancels it.
#[derive(Debug)]
pub struct Answering {
    body: Incoming,
    /// Begins with the first byte of a line.
    buffer: BytesMut,
    socket: PathBuf,
    _driver: Driver,
}

/// What a gateway says of an answer.
#[derive(Debug)]
pub enum Said {
    /// A piece of it.
    Piece(Delta),
    /// All of it, with its figures. Nothing follows.
    Result(Box<InferResult>),
}

/// The task that moves a connection's bytes; it ends with whoever reads them.
#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Result {
        result: Box<InferResult>,
        traceparent: String,
    },
    Error {
        error: String,
    },
    Piece {
        text: String,
        reasoning: String,
    },
}

impl Running {
    /// Whether it would answer. A model that it loads on demand is loaded for that.
    pub async fn fits(&self, ask: &AskChat) -> Result<bool, GatewayError> {
        let probe = AskChat {
            messages: Vec::new(),
            ..ask.clone()
        };
        Ok(self.chat(&probe).await?.is_some())
    }

    /// Asks it. `None` if it serves another model, another build, or in another way: the asker
    /// needs a server of its own then.
    pub async fn chat(&self, ask: &AskChat) -> Result<Option<Answering>, GatewayError> {
        let begin = async {
            let body = serde_json::to_vec(ask).map_err(io::Error::other)?;
            let (mut sender, driver) = open(&self.socket).await?;
            let request = request(Method::POST, CHAT, body)?;
            let response = sender.send_request(request).await;
            Ok((response.map_err(io::Error::other)?, driver))
        };
        let (response, driver) = begin.await.map_err(|source| self.failed(source))?;
        let status = response.status();
        if matches!(status, StatusCode::CONFLICT | StatusCode::NOT_FOUND) {
            return Ok(None);
        }
        let body = response.into_body();
        if !status.is_success() {
            let told = body.collect().await.map(Collected::to_bytes);
            let told = told.unwrap_or_default();
            let said = serde_json::from_slice::<Value>(&told).ok();
            let said = said.and_then(|said| Some(said["error"]["message"].as_str()?.to_owned()));
            let said = said.unwrap_or_else(|| status.to_string());
            return Err(self.failed(io::Error::other(said)));
        }
        Ok(Some(Answering {
            body,
            buffer: BytesMut::new(),
            socket: self.socket.clone(),
            _driver: driver,
        }))
    }

    fn failed(&self, source: io::Error) -> GatewayError {
        GatewayError::Asked {
            pid: self.status.pid,
            source,
        }
    }
}

impl Answering {
    /// The next thing that is said.
    pub async fn next(&mut self) -> Result<Said, GatewayError> {
        let failed = |source| GatewayError::Socket {
            path: self.socket.clone(),
            source,
        };
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1);
                let line: Line = serde_json::from_slice(&line)
                    .map_err(|error| failed(io::Error::other(error)))?;
                return match line {
                    Line::Piece { text, reasoning } => Ok(Said::Piece(Delta {
                        text,
                        reasoning,
                        ..Delta::default()
                    })),
                    Line::Result {
                        mut result,
                        traceparent,
                    } => {
                        if let Ok(context) = traceparent.parse() {
                            result.trace_context = context;
                        }
                        Ok(Said::Result(result))
                    }
                    Line::Error { error } => Err(failed(io::Error::other(error))),
                };
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.buffer.extend_from_slice(&bytes);
                    }
                }
                Some(Err(error)) => return Err(failed(io::Error::other(error))),
                None => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
            }
        }
    }
}

/// One question and its answer.
async fn ask(socket: &Path, method: Method, path: &str, body: Option<Value>) -> io::Result<Bytes> {
    let exchange = async {
        let (mut sender, _driver) = open(socket).await?;
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request(method, path, body.into_bytes())?;
        let response = sender.send_request(request).await;
        let response = response.map_err(io::Error::other)?;
        let status = response.status();
        let body = response.into_body().collect().await;
        let body = body.map_err(io::Error::other)?.to_bytes();
        if status.is_success() {
            Ok(body)
        } else {
            Err(io::Error::other(
                String::from_utf8_lossy(&body).into_owned(),
            ))
        }
    };
    tokio::time::timeout(PATIENCE, exchange)
        .await
        .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
}

async fn open(socket: &Path) -> io::Result<(SendRequest<Full<Bytes>>, Driver)> {
    let stream = UnixStream::connect(socket).await?;
    let shaken = handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(io::Error::other)?;
    let driver = Handle::current().spawn(async move {
        // A failure reaches whoever reads the answer.
        drop(connection.await);
    });
    Ok((sender, Driver(driver)))
}

fn request(method: Method, path: &str, body: Vec<u8>) -> io::Result<Request<Full<Bytes>>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(io::Error::other)
}
