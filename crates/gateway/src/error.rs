//! Why a gateway could not start.

use crate::KeyError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use thiserror::Error;

/// Why a gateway could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The Unix socket cannot be made.
    #[error("cannot listen on {path}: {source}", path = path.display())]
    Socket {
        /// The system's answer.
        source: io::Error,
        /// The socket.
        path: PathBuf,
    },
    /// A server of this home could not answer.
    #[error("the server that runs (process {pid}) does not answer: {source}")]
    Asked {
        /// Its process.
        pid: u32,
        /// What it said, or what broke.
        source: io::Error,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("serve.tls_certificate and serve.tls_key are needed both, or neither")]
    HalfTls,
    /// The certificate or its key cannot be used.
    #[error("cannot use {path} for TLS: {source}", path = path.display())]
    Tls {
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// The file.
        path: PathBuf,
    },
    /// The address is reached from other machines, and nothing keeps strangers out.
    #[error(
        "{address} is reached from other machines and there is no API key: \
         listen on 127.0.0.1, or make a key first with `llt keys add NAME`"
    )]
    PublicWithoutKey {
        /// The address.
        address: SocketAddr,
    },
    /// The API keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// A model did not load.
    #[error("cannot serve {model}: {reason}")]
    Model {
        /// The model as it was named.
        model: String,
        /// What failed.
        reason: String,
    },
    /// Two models have the same name.
    #[error("two models are called `{name}`")]
    SameName {
        /// The name.
        name: String,
    },
    /// The server that is to be asked cannot be.
    #[error("cannot use the upstream: {reason}: {url}")]
    Upstream {
        /// The address as it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}
