//! What can keep a runtime from being had.

use crate::attempt::Attempt;
use crate::proof::Refusal;
use llamatelemetry_fetch::FetchError;
use llamatelemetry_settings::SettingsError;
use std::io;
use std::path::{Path, PathBuf};

/// What can keep a runtime from being had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuntimeError {
    /// Every source was tried, each with its reason.
    #[error("no usable llama.cpp was found and none could be made")]
    NoneUsable {
        /// What was tried, in order.
        attempts: Vec<Attempt>,
        /// What stopped the last source.
        #[source]
        source: Option<Box<RuntimeError>>,
    },
    /// There is no C++ compiler to build with.
    #[error("no C++ compiler was found (looked for {})", .looked_for.join(", "))]
    CompilerMissing {
        /// The names and paths looked for.
        looked_for: Vec<String>,
    },
    /// A compiler is there but cannot make a program.
    #[error("the C++ compiler cannot make a program: {reason}: {compiler}")]
    CompilerBroken {
        /// The compiler.
        compiler: PathBuf,
        /// Its first error line.
        reason: String,
    },
    /// CUDA was asked for and there is no CUDA compiler.
    #[error("no CUDA compiler (nvcc) was found: looked in {}", .looked_in.join(", "))]
    CudaCompilerMissing {
        /// The folders looked in.
        looked_in: Vec<String>,
    },
    /// CUDA was asked for and there is no GPU to build for.
    #[error("no GPU to build for: {reason}")]
    GpuMissing {
        /// Why not.
        reason: String,
    },
    /// A build tool is missing or too old and could not be fetched.
    #[error("{tool} {at_least} or newer is needed to build llama.cpp and could not be had")]
    BuildTool {
        /// The tool.
        tool: String,
        /// The oldest version that does.
        at_least: String,
        /// Why it could not be fetched.
        #[source]
        source: Box<RuntimeError>,
    },
    /// The given source is no llama.cpp.
    #[error("this is no llama.cpp source: {reason}: {path}")]
    NoSource {
        /// What is missing.
        reason: String,
        /// The given path.
        path: PathBuf,
    },
    /// A step of the build failed.
    #[error("{step} failed{}: full log in {log}", last(.lines))]
    Build {
        /// "configuring llama.cpp", "building llama-server".
        step: String,
        /// The lines that say why.
        lines: Vec<String>,
        /// The whole log.
        log: PathBuf,
    },
    /// Too little room to build in.
    #[error(
        "building needs {} MiB and {} MiB are free: {path}",
        needed >> 20,
        available >> 20
    )]
    NoSpace {
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are free.
        available: u64,
        /// The folder.
        path: PathBuf,
    },
    /// The release has nothing that fits this machine.
    #[error("no release archive fits this machine: {}", .reasons.join("; "))]
    NoArchive {
        /// Each archive with why not.
        reasons: Vec<String>,
    },
    /// The release interface answered with something unexpected.
    #[error("the release interface cannot be used: {reason}: {url}")]
    Interface {
        /// What is wrong.
        reason: String,
        /// What was asked.
        url: String,
    },
    /// A binary was run and refused.
    #[error("refused: {refusal}: {server}")]
    Refused {
        /// Why.
        refusal: Refusal,
        /// The binary.
        server: PathBuf,
    },
    /// No runtime of the store has this name.
    #[error("no runtime is called {name} (there are: {})", listed(.known))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The identities there are.
        known: Vec<String>,
    },
    /// More than one runtime of the store begins with this name.
    #[error("{name} is the beginning of more than one runtime: {}", .matches.join(", "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The identities that begin so.
        matches: Vec<String>,
    },
    /// A companion tool cannot be had for this runtime.
    #[error("{tool} cannot be had for this runtime")]
    Tool {
        /// The tool's program name.
        tool: String,
        /// Why not.
        #[source]
        source: Box<RuntimeError>,
    },
    /// A program could not be run at all.
    #[error("cannot run {program}")]
    Run {
        /// The program.
        program: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Something could not be fetched or unpacked.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The home folder or a lock cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A file could not be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried: "read", "write".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The built-in list of sources is damaged.
    #[error("the built-in list of sources cannot be read: {reason}")]
    Sources {
        /// What is wrong with it.
        reason: String,
    },
}

fn last(lines: &[String]) -> String {
    lines
        .last()
        .map_or_else(String::new, |line| format!(" ({})", line.trim()))
}

fn listed(known: &[String]) -> String {
    if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    }
}

impl RuntimeError {
    /// A failed file operation.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    /// What a person can do about it.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NoneUsable { attempts, source } => {
                let mut hints: Vec<String> =
                    source.as_ref().map_or_else(Vec::new, |error| error.hints());
                if !attempts.is_empty() {
                    hints.push("`llt runtime explain` shows every source with its reason".into());
                }
                hints.push(
                    "LLAMA_SERVER_PATH=/path/to/llama-server uses a llama.cpp of your own".into(),
                );
                hints
            }
            Self::CompilerMissing { .. } | Self::CompilerBroken { .. } => vec![
                "Debian, Ubuntu: sudo apt install g++".into(),
                "Fedora, RHEL: sudo dnf install gcc-c++".into(),
                "Arch: sudo pacman -S gcc".into(),
                "macOS: xcode-select --install".into(),
            ],
            Self::CudaCompilerMissing { .. } => vec![
                "install NVIDIA's CUDA toolkit, or put its nvcc on PATH".into(),
                "runtime.backend = \"cpu\" in the config file builds for the processor".into(),
            ],
            Self::NoSpace { path, .. } => vec![format!(
                "free some room, or set LLAMATELEMETRY_HOME to a larger disk than that of {}",
                path.display()
            )],
            Self::BuildTool { source, tool, .. } => {
                let mut hints = vec![format!("install {tool} with the system's package manager")];
                hints.extend(source.hints());
                hints
            }
            Self::Build { log, .. } => vec![format!("the whole log is {}", log.display())],
            Self::Tool { source, .. } => source.hints(),
            Self::Refused { refusal, .. } => refusal.hints(),
            Self::Fetch(error) => error.hints(),
            _ => Vec::new(),
        }
    }
}
