//! What can go wrong between a model's name and its file.

use crate::NotGguf;
use llamatelemetry_fetch::FetchError;
use llamatelemetry_gguf::GgufError;
use llamatelemetry_settings::SettingsError;
use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong between a model's name and its file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// No model of this name is known or here.
    #[error("no model is called {name:?}")]
    Unknown {
        /// The name that was given.
        name: String,
        /// Known names that look like it, nearest first.
        nearest: Vec<String>,
    },
    /// The name has the form of one kind of name but is not a good one.
    #[error("this model name cannot be used: {reason}: {name}")]
    BadName {
        /// The name that was given.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that was named is not there.
    #[error("there is no such file: {path}")]
    Missing {
        /// The path that was given.
        path: PathBuf,
        /// Files beside it that look like it.
        nearest: Vec<PathBuf>,
    },
    /// A folder was named that holds no model, or more than one.
    #[error("the folder holds {} models, so the file must be named: {path}", .models.len())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The models in it.
        models: Vec<PathBuf>,
    },
    /// A split model lacks some of its files.
    #[error("the split model lacks {} of its {count} files: {path}", .missing.len())]
    MissingShards {
        /// The first file.
        path: PathBuf,
        /// How many files the model has.
        count: u32,
        /// The names of those that are not there.
        missing: Vec<String>,
    },
    /// The file is not a GGUF.
    #[error("this file is not a GGUF model, it looks like {looks_like}: {path}")]
    NotGguf {
        /// The file.
        path: PathBuf,
        /// What its first bytes look like.
        looks_like: NotGguf,
    },
    /// The file ends before its own header says it does.
    #[error("the model file is cut short{}: {path}", said(.detail))]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// Which part is beyond the end.
        detail: String,
    },
    /// The file is a GGUF whose header cannot be used.
    #[error("the model file is damaged: {path}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: GgufError,
    },
    /// A file's bytes are not those that its source promises.
    #[error("the SHA-256 is {actual} where {expected} was expected: {path}")]
    Digest {
        /// The file.
        path: PathBuf,
        /// The promised digest.
        expected: String,
        /// The digest of the bytes that are here.
        actual: String,
    },
    /// The hub wants an agreement or a token before it gives this repository.
    #[error("the hub gives this repository only to those it knows: {repo}")]
    Gated {
        /// The repository.
        repo: String,
        /// Whether a token was sent.
        token: TokenSent,
        /// The page where access is asked for.
        page: String,
    },
    /// The hub has no such repository, or hides it from strangers.
    #[error("the hub has no such repository, or hides it: {repo}")]
    NoSuchRepository {
        /// The repository.
        repo: String,
        /// Whether a token was sent.
        token: TokenSent,
    },
    /// The repository has no model in this quantization, or no GGUF at all.
    #[error("{repo} has no {wanted}")]
    NoSuchQuant {
        /// The repository.
        repo: String,
        /// What was asked for, as a person would say it: "quantization `Q4_K_M`".
        wanted: String,
        /// The quantizations that it has.
        available: Vec<String>,
    },
    /// The repository has no such file.
    #[error("{repo} has no file {file}")]
    NoSuchFile {
        /// The repository, package or folder.
        repo: String,
        /// The file that was asked for.
        file: String,
        /// The GGUF files that it has.
        available: Vec<String>,
    },
    /// The hub's file is not the one that the catalogue promises.
    #[error("the hub's file has the SHA-256 {actual}, the catalogue promises {expected}: {repo}")]
    Replaced {
        /// The repository.
        repo: String,
        /// The digest in the catalogue.
        expected: String,
        /// The digest that the hub names.
        actual: String,
    },
    /// The model is known but not on this machine.
    #[error("this model is not on this machine: {name}")]
    NotHere {
        /// The model.
        name: String,
    },
    /// Offline mode is on and the model is not here.
    #[error("offline mode is on and this model is not here: {name}")]
    Offline {
        /// The model.
        name: String,
    },
    /// The hub's answer makes no sense.
    #[error("the hub's answer makes no sense: {reason}: {repo}")]
    Hub {
        /// The repository.
        repo: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no room for the model.
    #[error("there is no room for the model: {path}")]
    NoSpace {
        /// The folder or file that could not be written.
        path: PathBuf,
        /// Bytes that are still to be written, if known.
        needed: Option<u64>,
        /// Bytes that are free, if known.
        available: Option<u64>,
    },
    /// A model that is in use was to be removed.
    #[error("the model is in use: {path}")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A model that is pinned was to be removed.
    #[error("the model is pinned: {path}")]
    Pinned {
        /// The file.
        path: PathBuf,
    },
    /// A model that other programs share was to be removed.
    #[error("the model belongs to {owner}, not to us: {path}")]
    NotOurs {
        /// Whose it is: "the hub cache", "Ollama".
        owner: &'static str,
        /// The file.
        path: PathBuf,
        /// Whether force would remove it.
        force_helps: bool,
    },
    /// The record of uses and pins cannot be read, so nothing may be removed by it.
    #[error("the record of uses and pins is damaged: {path}")]
    Ledger {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// A file could not be read or written.
    #[error("cannot {action}: {path}")]
    Io {
        /// What was tried: "read", "rename".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The download failed.
    #[error(transparent)]
    Fetch(FetchError),
    /// The home folder or a lock cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// Whether the hub was given a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSent {
    /// It was.
    Yes,
    /// There is none.
    No,
}

fn said(detail: &str) -> String {
    if detail.is_empty() {
        String::new()
    } else {
        format!(" ({detail})")
    }
}

impl From<FetchError> for ModelError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::NoSpace {
                needed,
                available,
                path,
            } => Self::NoSpace {
                path,
                needed: Some(needed),
                available: Some(available),
            },
            FetchError::Io { path, source, .. } if is_full(&source) => Self::NoSpace {
                path,
                needed: None,
                available: None,
            },
            other => Self::Fetch(other),
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

impl ModelError {
    /// A failed file operation, with a full disk told apart.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        if is_full(&source) {
            return Self::NoSpace {
                path: path.to_path_buf(),
                needed: None,
                available: None,
            };
        }
        Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    /// What a person can do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Unknown { name, nearest } => unknown_hints(name, nearest),
            Self::BadName { .. } => vec![forms()],
            Self::Missing { nearest, .. } => nearest
                .iter()
                .map(|path| format!("did you mean {}?", path.display()))
                .collect(),
            Self::Folder { models, .. } if models.is_empty() => {
                vec!["the folder holds no .gguf file".to_owned()]
            }
            Self::Folder { models, .. } => models
                .iter()
                .map(|path| format!("one is {}", path.display()))
                .collect(),
            Self::MissingShards { missing, .. } => vec![format!(
                "put these beside it, or fetch the model again: {}",
                missing.join(", ")
            )],
            Self::NotGguf { looks_like, .. } => looks_like.hints(),
            Self::Truncated { .. } | Self::Digest { .. } => vec![
                "the download did not finish or the file was changed; remove it and fetch it again"
                    .to_owned(),
            ],
            Self::Damaged { source, .. } => source.hints(),
            Self::Gated { token, page, .. } => gated_hints(*token, page),
            Self::NoSuchRepository {
                token: TokenSent::No,
                ..
            } => vec!["check the spelling; for a private repository set HF_TOKEN".to_owned()],
            Self::NoSuchRepository { .. } => {
                vec!["check the spelling, and that the token may read it".to_owned()]
            }
            Self::NoSuchQuant { available, .. } | Self::NoSuchFile { available, .. } => {
                if available.is_empty() {
                    vec![
                        "it has no GGUF file at all; look for a repository that ends in -GGUF"
                            .to_owned(),
                    ]
                } else {
                    vec![format!("it has {}", available.join(", "))]
                }
            }
            Self::Replaced { repo, .. } => vec![format!(
                "its publisher replaced the file; hf:{repo} takes what the hub has now"
            )],
            Self::NotHere { name } => vec![format!("fetch it with `llt models pull {name}`")],
            Self::Offline { .. } => {
                vec![
                    "switch offline mode off once to fetch it (HF_HUB_OFFLINE, --offline)"
                        .to_owned(),
                ]
            }
            Self::Hub { .. } => {
                vec!["check the address of the hub or mirror (HF_ENDPOINT)".to_owned()]
            }
            Self::NoSpace {
                needed: Some(needed),
                available: Some(available),
                ..
            } => vec![format!(
                "free {} more, for example with `llt models prune`",
                crate::bytes(needed.saturating_sub(*available))
            )],
            Self::NoSpace { .. } => {
                vec!["free some room, for example with `llt models prune`".to_owned()]
            }
            Self::InUse { .. } => vec!["stop what uses it first: `llt ps`, `llt stop`".to_owned()],
            Self::Pinned { .. } => vec!["unpin it first".to_owned()],
            Self::NotOurs {
                owner, force_helps, ..
            } => vec![if *force_helps {
                "other programs may use it too; --force removes it all the same".to_owned()
            } else {
                match *owner {
                    "you" => "it lies in a folder of yours: delete the file yourself".to_owned(),
                    owner => format!("remove it with {owner} itself"),
                }
            }],
            Self::Ledger { path, .. } => vec![format!(
                "move {} away to start a new one; pins are lost then",
                path.display()
            )],
            Self::Io { .. } | Self::Settings(_) => Vec::new(),
            Self::Fetch(error) => error.hints(),
        }
    }
}

fn forms() -> String {
    "a model is a path, a name from `llt models search`, hf:OWNER/REPO[:QUANT], a URL or \
     pip:PACKAGE==VERSION"
        .to_owned()
}

fn unknown_hints(name: &str, nearest: &[String]) -> Vec<String> {
    let mut hints = Vec::new();
    if !nearest.is_empty() {
        hints.push(format!("did you mean {}?", nearest.join(" or ")));
    }
    if name.contains(' ') {
        hints.push("quote the prompt and give the model first: llt run MODEL \"…\"".to_owned());
    }
    hints.push(forms());
    hints
}

fn gated_hints(token: TokenSent, page: &str) -> Vec<String> {
    let ask = format!("ask for access at {page}");
    match token {
        TokenSent::No => vec![
            ask,
            "then give your token: set HF_TOKEN, or log in with the hub's own tool".to_owned(),
        ],
        TokenSent::Yes => vec![format!(
            "{ask}; the token that was sent has none (a fine-grained token must allow gated \
             repositories)"
        )],
    }
}
