//! TLS of the door.

use crate::GatewayError;
use llamatelemetry_settings::ServeSettings;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// The certificate that clients are shown, and its key.
#[derive(Debug)]
pub(crate) struct Tls {
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// What the settings name; `None`: nothing.
    pub(crate) fn read(settings: &ServeSettings) -> Result<Option<Arc<Self>>, GatewayError> {
        Ok(config(settings)?.map(|config| {
            Arc::new(Self {
                config: RwLock::new(config),
            })
        }))
    }

    /// Shows another certificate to connections that come from now on.
    pub(crate) fn take(&self, other: &Self) {
        let config = other.config.read().unwrap_or_else(PoisonError::into_inner);
        let config = config.clone();
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(config.clone())
    }
}

fn config(settings: &ServeSettings) -> Result<Option<Arc<ServerConfig>>, GatewayError> {
    let (certificate, key) = match (&settings.tls_certificate, &settings.tls_key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return Ok(None),
        _ => return Err(GatewayError::HalfTls),
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(certificate, error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, private)
        })
        .map_err(|error: rustls::Error| wrong(certificate, error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

fn wrong(path: &Path, error: impl std::error::Error + Send + Sync + 'static) -> GatewayError {
    GatewayError::Tls {
        source: Box::new(error),
        path: PathBuf::from(path),
    }
}
