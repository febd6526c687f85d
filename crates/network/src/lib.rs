//! How the outside is reached: proxies and trusted certificates, as the environment names them.
//!
//! Downloads and exports go the same way, so both ask here. Nothing is contacted.

mod proxy;
mod trust;

pub use proxy::Proxies;
pub use trust::roots;

use std::path::PathBuf;

/// What the environment says of the network cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// A proxy setting cannot be used. Its text may hold a password and is not shown.
    #[error("the proxy setting {variable} cannot be used: {reason}")]
    Proxy {
        /// The environment variable.
        variable: String,
        /// Why not.
        reason: String,
    },
    /// A file of certificates cannot be used.
    #[error("the certificates that {variable} names cannot be used: {reason}: {path}")]
    Certificates {
        /// The environment variable.
        variable: String,
        /// Why not.
        reason: String,
        /// The file.
        path: PathBuf,
    },
}
