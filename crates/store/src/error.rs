//! What can go wrong in the store.

use std::path::PathBuf;

/// What can go wrong in the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried: `write`, `open`.
        action: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// There is no room on the disk: nothing was taken.
    #[error("no room to write {path}")]
    Full {
        /// Which file.
        path: PathBuf,
    },
    /// A file is not what was written: it is set aside, the rest stays readable.
    #[error("damaged ({what}): {path}")]
    Damaged {
        /// What does not fit.
        what: &'static str,
        /// Which file.
        path: PathBuf,
    },
    /// A file is of a format that this version does not know.
    #[error("written in format {found}, this version reads up to {known}: {path}")]
    Version {
        /// The file's format.
        found: u32,
        /// The newest known here.
        known: u32,
        /// Which file.
        path: PathBuf,
    },
    /// What was handed in is no OTLP.
    #[error("not an OTLP {signal} message")]
    NotOtlp {
        /// `traces`, `metrics` or `logs`.
        signal: &'static str,
        /// Where it stops making sense.
        #[source]
        source: prost::DecodeError,
    },
    /// One message is larger than a block may be.
    #[error("a message of {size} bytes is above the limit of {limit} bytes")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A span, data point or log record has more attributes than can be kept.
    #[error("a row of {count} attributes is above the limit of {limit}")]
    TooManyAttributes {
        /// How many it has.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A request has more parts (messages, texts, lists) or rows than is decoded at once.
    #[error("a request of {count} {what} and more is above the limit of {limit}")]
    TooMany {
        /// `rows` or `parts`.
        what: &'static str,
        /// How many were counted until it was enough.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A resource or a scope, which is kept with every row, is too large.
    #[error("a resource or scope of {size} bytes is above the limit of {limit} bytes")]
    LargeOrigin {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// More waits to be written than may wait: try again soon.
    #[error("the store is busy: {waiting} bytes wait to be written")]
    Busy {
        /// Bytes that wait.
        waiting: usize,
    },
    /// The store's files were made anew again and again while they were listed: try again.
    #[error("the store's files come and go faster than they can be listed")]
    Unsettled,
    /// The writer has ended.
    #[error("the store's writer has ended: {reason}")]
    Closed {
        /// Why.
        reason: String,
    },
    /// The settings' folders could not be made or locked.
    #[error(transparent)]
    Home(#[from] llamatelemetry_settings::SettingsError),
}

impl StoreError {
    /// Wraps a failure of the file system; a full disk has a kind of its own.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: std::io::Error,
    ) -> Self {
        let path = path.into();
        match source.kind() {
            std::io::ErrorKind::StorageFull
            | std::io::ErrorKind::QuotaExceeded
            | std::io::ErrorKind::FileTooLarge => Self::Full { path },
            _ => Self::Io {
                action,
                path,
                source,
            },
        }
    }

    /// Whether the request is at fault: sent again it would be refused again.
    pub fn is_of_request(&self) -> bool {
        matches!(
            self,
            Self::NotOtlp { .. }
                | Self::TooLarge { .. }
                | Self::TooManyAttributes { .. }
                | Self::TooMany { .. }
                | Self::LargeOrigin { .. }
        )
    }

    /// Whether one file is at fault: it is set aside and named, the others are read.
    pub fn is_of_file(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. } | Self::Version { .. } | Self::Io { .. }
        )
    }

    /// The same failure for another request of the same group.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Full { path } => Self::Full { path: path.clone() },
            Self::Io {
                action,
                path,
                source,
            } => Self::Io {
                action,
                path: path.clone(),
                source: std::io::Error::new(source.kind(), source.to_string()),
            },
            other => Self::Closed {
                reason: other.to_string(),
            },
        }
    }

    /// What the user can do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Full { .. } => vec![
                "make room, or keep less: `telemetry.store_limit`, `telemetry.store_age`"
                    .to_owned(),
            ],
            Self::Version { .. } => vec!["a newer llt wrote this store: use that one".to_owned()],
            _ => Vec::new(),
        }
    }
}
