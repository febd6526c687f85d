//! What can go wrong when somebody asks for a trace.

use llamatelemetry_store::StoreError;

/// What can go wrong when somebody asks for a trace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordedError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no trace at all.
    #[error("no trace is stored yet")]
    NoTraces,
    /// What was typed cannot be the beginning of an id.
    #[error("no trace id, which has up to 32 hexadecimal digits: {name}")]
    NoId {
        /// What was typed.
        name: String,
    },
    /// No trace's id begins so.
    #[error("no stored trace has an id that begins with {name}")]
    NotFound {
        /// What was typed.
        name: String,
    },
    /// Several traces' ids begin so.
    #[error("{count} traces have ids that begin with {name}")]
    Ambiguous {
        /// What was typed.
        name: String,
        /// How many there are.
        count: usize,
        /// The newest of them, in hexadecimal.
        ids: Vec<String>,
    },
}

impl RecordedError {
    /// What the user can do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Store(error) => error.hints(),
            Self::NoTraces => vec!["`llt run` and `llt chat` store one for each answer".to_owned()],
            Self::NoId { .. } | Self::NotFound { .. } => {
                vec!["`llt trace list` shows the newest; `last` is the newest one".to_owned()]
            }
            Self::Ambiguous { ids, .. } => vec![format!("type more of one: {}", ids.join(", "))],
        }
    }
}
