//! A usable llama.cpp, as plain data.

use crate::proof::Proof;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A llama.cpp that was run on this machine and passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// Name of this build: number, back end and digest of what it was made of and how.
    pub identity: String,
    /// The `llama-server` program.
    pub server: PathBuf,
    /// What the program says of itself.
    pub build: Build,
    /// Where it came from.
    pub source: Source,
    /// The device back end it computes with.
    pub backend: Backend,
    /// Folders that the child needs in `LD_LIBRARY_PATH`; never set for this process.
    pub library_dirs: Vec<PathBuf>,
    /// The devices it sees, the processor not counted.
    pub devices: Vec<Device>,
    /// The flags it was built with; empty where it was not built here.
    pub flags: Vec<String>,
    /// How it was proved.
    pub proof: Proof,
}

/// What a `llama-server` says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Build number; `None` where the program does not know it.
    pub number: Option<u32>,
    /// Commit, as it was named to the build.
    pub commit: Option<String>,
    /// The whole line: `0.6.0-dev (build 11434, commit sdist)`.
    pub text: String,
    /// Compiler and system: `GNU 12.2.0 for Linux x86_64`.
    pub compiler: Option<String>,
}

/// Where a runtime came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Source {
    /// The path the user set.
    UserPath {
        /// As it was set.
        path: PathBuf,
    },
    /// Found on `PATH`.
    SearchPath {
        /// Where.
        path: PathBuf,
    },
    /// An archive of the pinned release.
    Release {
        /// The release's tag.
        tag: String,
        /// The archive's name.
        archive: String,
        /// Its SHA-256, as the release interface told.
        sha256: String,
    },
    /// Built from a registry's source package.
    Package {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// Its SHA-256.
        sha256: String,
    },
    /// Built from an archive the user gave.
    Archive {
        /// The archive.
        path: PathBuf,
        /// Its SHA-256.
        sha256: String,
    },
    /// Built from a source tree the user gave.
    Tree {
        /// The tree.
        path: PathBuf,
        /// Digest of its files.
        sha256: String,
    },
}

impl Source {
    /// As a person would say it.
    pub fn title(&self) -> String {
        match self {
            Self::UserPath { path } => format!("LLAMA_SERVER_PATH ({})", path.display()),
            Self::SearchPath { path } => format!("PATH ({})", path.display()),
            Self::Release { tag, archive, .. } => format!("release {tag} ({archive})"),
            Self::Package { name, version, .. } => format!("built from {name} {version}"),
            Self::Archive { path, .. } | Self::Tree { path, .. } => {
                format!("built from {}", path.display())
            }
        }
    }
}

/// What a runtime computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Backend {
    /// The processor alone.
    Cpu,
    /// NVIDIA GPUs.
    Cuda,
    /// AMD GPUs.
    Rocm,
    /// Any GPU with a Vulkan driver.
    Vulkan,
    /// Apple GPUs.
    Metal,
    /// Intel GPUs.
    Sycl,
    /// A device of another kind.
    Other,
}

impl Backend {
    /// The name used in settings, identities and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Sycl => "sycl",
            Self::Other => "other",
        }
    }
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A device that a runtime sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// llama.cpp's name: `CUDA0`.
    pub name: String,
    /// The product.
    pub description: String,
    /// Memory in bytes, to the mebibyte.
    pub memory_total: u64,
    /// Memory free when it was proved, in bytes, to the mebibyte.
    pub memory_free: u64,
}
