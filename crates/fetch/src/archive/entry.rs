//! One entry of an archive, with its names already guarded, and why one is refused.

use crate::FetchError;
use std::io;
use std::path::{Component, Path, PathBuf};

/// One entry. Its path is relative, without `.` and `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Folder,
    File {
        executable: bool,
    },
    /// A symbolic link; where it leads is checked when its place is known.
    Link {
        to: PathBuf,
    },
    /// The same file as an earlier entry.
    Same {
        as_entry: PathBuf,
    },
}

/// Why an archive is refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    Content {
        reason: String,
        entry: Option<String>,
    },
    Read(io::Error),
    Place(FetchError),
}

impl Refusal {
    pub(crate) fn archive(reason: impl Into<String>) -> Self {
        Self::Content {
            reason: reason.into(),
            entry: None,
        }
    }

    pub(crate) fn entry(path: &Path, reason: impl Into<String>) -> Self {
        Self::Content {
            reason: reason.into(),
            entry: Some(path.to_string_lossy().into_owned()),
        }
    }

    pub(crate) fn into_error(self, archive: &Path) -> FetchError {
        match self {
            Self::Content { reason, entry } => FetchError::Archive {
                reason,
                entry,
                path: archive.to_path_buf(),
            },
            Self::Read(source) => match source.downcast::<Swollen>() {
                Ok(Swollen(reason)) => FetchError::Archive {
                    reason,
                    entry: None,
                    path: archive.to_path_buf(),
                },
                // What the system does not say, a decoder says about the bytes.
                Err(source) if source.raw_os_error().is_none() => FetchError::Archive {
                    reason: format!("it is damaged: {source}"),
                    entry: None,
                    path: archive.to_path_buf(),
                },
                Err(source) => FetchError::io("read the archive", archive, source),
            },
            Self::Place(error) => error,
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// A limit was passed; travels through `io::Error` because readers see it first.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Swollen(pub(crate) String);

/// The longest path that is taken.
const LONGEST_PATH: usize = 1024;
/// The deepest path that is taken.
const DEEPEST_PATH: usize = 64;

/// An entry's name as a safe relative path. `None` is the archive's own root (`./`).
pub(crate) fn guarded(name: &[u8]) -> Result<Option<PathBuf>, Refusal> {
    let shown = || PathBuf::from(String::from_utf8_lossy(name).into_owned());
    let refuse = |reason: &str| Refusal::entry(&shown(), reason);
    let text = std::str::from_utf8(name).map_err(|_utf8| refuse("its name is not UTF-8"))?;
    if text.is_empty() {
        return Err(refuse("its name is empty"));
    }
    if text.chars().any(char::is_control) || text.contains('\\') {
        return Err(refuse("its name has a control character or a backslash"));
    }
    if text.len() > LONGEST_PATH {
        return Err(refuse("its name is too long"));
    }
    let mut path = PathBuf::new();
    let mut depth = 0;
    for component in Path::new(text).components() {
        match component {
            Component::Normal(part) => {
                depth += 1;
                path.push(part);
            }
            Component::CurDir => {}
            Component::ParentDir => return Err(refuse("its name leaves the folder")),
            Component::RootDir | Component::Prefix(_) => {
                return Err(refuse("its name is absolute"));
            }
        }
    }
    if depth > DEEPEST_PATH {
        return Err(refuse("its name is too deep"));
    }
    Ok((depth > 0).then_some(path))
}

/// Checks that a link at `place` (relative to the root) that leads to `to` stays inside the root.
/// `..` is taken only at the start: later ones could climb out through another link.
pub(crate) fn stays_inside(place: &Path, to: &Path) -> bool {
    let mut room = place.components().count().saturating_sub(1);
    let mut down = false;
    for component in to.components() {
        match component {
            Component::ParentDir if down || room == 0 => return false,
            Component::ParentDir => room -= 1,
            Component::Normal(_) => down = true,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    down
}
