//! What can go wrong while something is brought here.

use crate::sys;
use llamatelemetry_network::NetworkError;
use llamatelemetry_settings::SettingsError;
use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong while something is brought here. Addresses are shown without user
/// information and without the values of their query, which may be secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Offline mode is on and the thing is not here.
    #[error("offline mode is on, so this was not fetched: {url}")]
    Offline {
        /// What was wanted.
        url: String,
    },
    /// The host does not answer; it was given up for this process.
    #[error("{host} cannot be reached: {reason}: {url}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// What happened when it was tried.
        reason: String,
        /// What was wanted.
        url: String,
    },
    /// The server answered with a status that is not success.
    #[error("the server answered with status {status}{}: {url}", said(.message))]
    Status {
        /// The HTTP status.
        status: u16,
        /// The start of the answer's body, if it was text.
        message: String,
        /// What was wanted.
        url: String,
    },
    /// The bytes are not those that were asked for. The bad file was removed.
    #[error("the SHA-256 is {actual} where {expected} was expected: {url}")]
    Digest {
        /// The digest asked for, in hexadecimal.
        expected: String,
        /// The digest of what arrived.
        actual: String,
        /// What was wanted.
        url: String,
    },
    /// The size is not the one that was asked for, or that the server announced.
    #[error("the size is {actual} bytes where {expected} were expected: {url}")]
    Size {
        /// Bytes expected.
        expected: u64,
        /// Bytes that the server has.
        actual: u64,
        /// What was wanted.
        url: String,
    },
    /// The transfer broke too often. What arrived is kept for the next attempt where the server
    /// can resume.
    #[error("the transfer broke {attempts} times, {received} bytes are here: {reason}: {url}")]
    Interrupted {
        /// Bytes that are here.
        received: u64,
        /// Attempts without a byte of progress.
        attempts: u32,
        /// What broke it the last time.
        reason: String,
        /// What was wanted.
        url: String,
    },
    /// A small document turned out larger than the caller allows.
    #[error("the answer is larger than {limit} bytes: {url}")]
    TooLarge {
        /// Bytes allowed.
        limit: u64,
        /// What was wanted.
        url: String,
    },
    /// The server's answer makes no sense.
    #[error("the server's answer makes no sense: {reason}: {url}")]
    Protocol {
        /// What is wrong with it.
        reason: String,
        /// What was wanted.
        url: String,
    },
    /// The address cannot be used.
    #[error("this address cannot be used: {reason}: {url}")]
    Url {
        /// Why not.
        reason: String,
        /// The address.
        url: String,
    },
    /// What the environment says of the network cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The disk is too full.
    #[error("{needed} bytes are needed and {available} are free: {path}")]
    NoSpace {
        /// Bytes that are still to be written.
        needed: u64,
        /// Bytes that are free for this user.
        available: u64,
        /// The folder.
        path: PathBuf,
    },
    /// The file would be larger than this process may write, or than the file system allows.
    #[error("the file is larger than may be written here{}: {path}", limited(*.limit))]
    FileTooLarge {
        /// Bytes a file of this process may have, if a resource limit says so.
        limit: Option<u64>,
        /// The file.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot {action}: {path}")]
    Io {
        /// What was tried: "write", "rename".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The home folder or a lock cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// An archive is damaged, hostile or of an unknown kind.
    #[error("the archive was refused: {reason}{}: {path}", inside(.entry.as_deref()))]
    Archive {
        /// Why.
        reason: String,
        /// The entry, if it is one entry's fault.
        entry: Option<String>,
        /// The archive.
        path: PathBuf,
    },
    /// There is no Python interpreter.
    #[error("no Python 3 interpreter was found: {looked_for}")]
    PythonMissing {
        /// What was looked for.
        looked_for: PathBuf,
    },
    /// The Python interpreter has no pip.
    #[error("this Python has no pip: {python}")]
    PipMissing {
        /// The interpreter.
        python: PathBuf,
    },
    /// What the package registry serves is not what was asked for.
    #[error("the package's SHA-256 is not the expected one: {package}")]
    PackageDigest {
        /// Name and version.
        package: String,
        /// pip's own words.
        detail: String,
    },
    /// The package registry has no such package, version or form.
    #[error("the package registry has no {package} that fits this Python and machine")]
    NoSuchPackage {
        /// Name and version.
        package: String,
        /// pip's own words.
        detail: String,
    },
    /// The package registry does not answer.
    #[error("the package registry cannot be reached: {reason}: {package}")]
    RegistryUnreachable {
        /// Name and version.
        package: String,
        /// What happened.
        reason: String,
    },
    /// pip failed for another reason.
    #[error("pip failed: {reason}: {package}")]
    Pip {
        /// Name and version.
        package: String,
        /// Its last error line.
        reason: String,
        /// The end of its output.
        output: Vec<String>,
    },
}

fn said(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(" ({message})")
    }
}

fn limited(limit: Option<u64>) -> String {
    limit.map_or_else(String::new, |limit| format!(" (limit {limit} bytes)"))
}

fn inside(entry: Option<&str>) -> String {
    entry.map_or_else(String::new, |entry| format!(", entry {entry:?}"))
}

impl FetchError {
    /// A failed file operation, with a full disk and a limit of file sizes told apart.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::write(path, source, None),
            _ => Self::Io {
                action,
                path: path.to_path_buf(),
                source,
            },
        }
    }

    /// A failed write; `left` is how many bytes are still to come, if that is known.
    pub(crate) fn write(path: &Path, source: io::Error, left: Option<u64>) -> Self {
        let folder = path.parent().unwrap_or(path);
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let available = sys::space_available(folder).unwrap_or(0);
                Self::NoSpace {
                    needed: left.unwrap_or(0).max(available.saturating_add(1)),
                    available,
                    path: folder.to_path_buf(),
                }
            }
            io::ErrorKind::FileTooLarge => Self::FileTooLarge {
                limit: sys::file_size_limit(),
                path: path.to_path_buf(),
            },
            _ => Self::Io {
                action: "write",
                path: path.to_path_buf(),
                source,
            },
        }
    }

    /// What a person can do about it, most likely first.
    pub fn hints(&self) -> Vec<String> {
        let hint = |text: &str| vec![text.to_owned()];
        match self {
            Self::Offline { .. } => {
                hint("switch offline mode off, or bring the file here yourself")
            }
            Self::Unreachable { reason, .. } | Self::RegistryUnreachable { reason, .. }
                if reason.contains("certificate") =>
            {
                hint("if a proxy of your own signs certificates, name its file in SSL_CERT_FILE")
            }
            Self::Unreachable { .. } | Self::RegistryUnreachable { .. } => hint(
                "check the network; behind a proxy set HTTPS_PROXY; a mirror can be set in the config file",
            ),
            Self::Status {
                status: 401 | 403, ..
            } => hint("it may need a token, or the licence accepted on its page (HF_TOKEN)"),
            Self::Status { status: 404, .. } => hint("check the name and version"),
            Self::Status { status: 429, .. } => {
                hint("the server limits requests: wait, or use a token")
            }
            Self::Status { .. } => hint("the server has a problem of its own: try again later"),
            Self::Digest { .. } | Self::PackageDigest { .. } => vec![
                "something between here and there changed the bytes: a proxy, a mirror, or worse"
                    .to_owned(),
                "if the file was published anew, the known digest has to be changed".to_owned(),
            ],
            Self::Interrupted { .. } => {
                hint("run the same command again: it goes on where it broke")
            }
            Self::NoSpace {
                needed, available, ..
            } => vec![format!(
                "free {} MB, or set LLAMATELEMETRY_HOME to a larger disk",
                needed.saturating_sub(*available).div_ceil(1_000_000).max(1)
            )],
            Self::FileTooLarge { limit: Some(_), .. } => {
                hint("raise the limit: ulimit -f unlimited")
            }
            Self::PythonMissing { .. } => vec![
                "Debian, Ubuntu: apt install python3 python3-pip".to_owned(),
                "Fedora: dnf install python3 python3-pip".to_owned(),
            ],
            Self::PipMissing { python } => vec![
                "Debian, Ubuntu: apt install python3-pip".to_owned(),
                "Fedora: dnf install python3-pip".to_owned(),
                format!("or: {} -m ensurepip --upgrade", python.display()),
            ],
            Self::NoSuchPackage { .. } => hint(
                "a mirror may lack it, or it is not made for this system: pip's own message says more",
            ),
            _ => Vec::new(),
        }
    }
}
