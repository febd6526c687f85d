//! A model that is here.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A model that is here, ready to be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LocalModel {
    /// What it is called: the catalogue's name, or the name it was asked for by.
    pub name: String,
    /// The file to load; of a split model the first.
    pub path: PathBuf,
    /// All files of the model in order; one unless it is split.
    pub shards: Vec<PathBuf>,
    /// The projector (vision or audio) that goes with it, if there is one.
    pub projector: Option<PathBuf>,
    /// The SHA-256 in hexadecimal, `None` until known. Of a split model: the SHA-256 of its files'
    /// digests in hexadecimal, each followed by a line feed.
    pub sha256: Option<String>,
    /// Bytes of all its files, without the projector.
    pub size: u64,
    /// Where it came from.
    pub source: ModelSource,
}

/// Where a model came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModelSource {
    /// A path that the user named.
    Path,
    /// A folder that the settings name.
    Folder,
    /// The model hub.
    Hub {
        /// `owner/repo`.
        repo: String,
        /// The commit.
        revision: String,
        /// The file's path in it.
        file: String,
    },
    /// An address.
    Url {
        /// The address, without what may be secret in it.
        url: String,
    },
    /// A package of the Python registry.
    Pip {
        /// The package; of several chunks the first.
        package: String,
        /// Its version.
        version: String,
    },
    /// A model of Ollama's.
    Ollama {
        /// Ollama's name of it, with the tag.
        name: String,
    },
    /// A model of LM Studio's.
    LmStudio,
}
