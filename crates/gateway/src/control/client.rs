//! The other side of the socket.

use super::{RELOAD, STATUS, STOP, Status, sockets};
use crate::GatewayError;
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use llamatelemetry_settings::Settings;
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

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

/// One question and its answer.
async fn ask(socket: &Path, method: Method, path: &str, body: Option<Value>) -> io::Result<Bytes> {
    let exchange = async {
        let stream = UnixStream::connect(socket).await?;
        let (mut sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(io::Error::other)?;
        let answering = async {
            let response = sender
                .send_request(request)
                .await
                .map_err(io::Error::other)?;
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
        let mut connection = std::pin::pin!(connection);
        let mut answering = std::pin::pin!(answering);
        tokio::select! {
            answer = &mut answering => answer,
            // The connection may be over before its last answer was read.
            _ = &mut connection => answering.await,
        }
    };
    tokio::time::timeout(PATIENCE, exchange)
        .await
        .unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
}
