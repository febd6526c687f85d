//! What can go wrong when telemetry is set up. Nothing of it goes wrong later: a collector that
//! cannot be reached is counted and logged, and no request suffers from it.

use llamatelemetry_network::NetworkError;
use std::path::PathBuf;
use ureq::http::uri::InvalidUri;

/// What can go wrong when telemetry is set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The address to send spans to is none.
    #[error("{variable} is no http or https address")]
    Endpoint {
        /// The variable that holds it. Its value may hold a password and is not shown.
        variable: &'static str,
        /// Why not, if it is no address of any kind.
        #[source]
        source: Option<InvalidUri>,
    },
    /// A backend was chosen, and something that it needs is not said.
    #[error("{backend} needs {variable}")]
    Backend {
        /// How people call it.
        backend: &'static str,
        /// The variable that is not set.
        variable: &'static str,
    },
    /// What the environment says of proxies or certificates cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A certificate or key could not be read.
    #[error("cannot read the certificate or key {path}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A file holds no certificate or key in PEM form.
    #[error("no certificate or key in PEM form in {path}")]
    NotPem {
        /// The file.
        path: PathBuf,
    },
    /// The file that signals are to be appended to cannot be opened.
    #[error("cannot write telemetry to {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The address that Prometheus is to scrape cannot be listened on.
    #[error("cannot serve metrics on {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A pattern of what is to be taken out is no regular expression. Nothing is recorded without
    /// it.
    #[error("entry {number} of telemetry.redact_patterns is no regular expression")]
    Pattern {
        /// Which one, from 1.
        number: usize,
        /// Why not.
        #[source]
        source: regex_lite::Error,
    },
    /// The system gave no thread.
    #[error("cannot start the thread {name:?}")]
    Thread {
        /// The thread's name.
        name: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl TelemetryError {
    /// What the user can do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Endpoint { variable, .. } => vec![format!(
                "set {variable} to an address such as http://localhost:4318, or unset it"
            )],
            Self::Backend { variable, .. } => vec![format!(
                "set {variable}, or choose no backend (telemetry.backend)"
            )],
            Self::Certificate { .. } | Self::NotPem { .. } => vec![
                "OTEL_EXPORTER_OTLP_CERTIFICATE, _CLIENT_CERTIFICATE and _CLIENT_KEY name PEM files"
                    .to_owned(),
            ],
            Self::File { .. } => {
                vec!["set telemetry.file to a file that can be written".to_owned()]
            }
            Self::Listen { .. } => vec![
                "choose another port with OTEL_EXPORTER_PROMETHEUS_PORT or telemetry.prometheus"
                    .to_owned(),
            ],
            Self::Network(_) | Self::Thread { .. } | Self::Pattern { .. } => Vec::new(),
        }
    }
}
