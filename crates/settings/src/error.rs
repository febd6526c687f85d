//! What can be wrong with settings.

use std::path::PathBuf;

/// What can be wrong with settings, the home folder or its locks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The home folder could not be made or read.
    #[error("cannot use the home folder: {path}")]
    Home {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A lock file could not be opened or locked.
    #[error("cannot lock {path}")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}
