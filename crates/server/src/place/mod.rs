//! Where a launch keeps its socket and its key: a private folder, names unique a launch.
//!
//! Each launch holds a lock on a file of its own for as long as it lives. The kernel gives the
//! lock up when the process dies, in whatever way, so a lock that can be taken belongs to nobody
//! and what lies beside it is removed.

mod launches;

pub use launches::{Launches, launches};

use crate::ServerError;
use crate::sys::user;
use llamatelemetry_settings::{Environment, Secret};
use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// `sockaddr_un` has 108 bytes on Linux and 104 elsewhere, the last of them zero.
const LONGEST_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// Bytes of a key before they are written as text.
const KEY_BYTES: usize = 32;

/// The files of one launch. Dropping it removes them.
#[derive(Debug)]
pub(crate) struct Place {
    /// The process whose it is: a fork of it must not remove anything.
    owner: u32,
    folder: PathBuf,
    name: String,
    /// Held, never read: closing it gives the lock up.
    _lock: File,
}

impl Place {
    /// Makes a place for one launch, and removes those of dead owners.
    pub(crate) fn take(environment: &Environment) -> Result<Self, ServerError> {
        let folder = runtime_folder(environment)?;
        clean(&folder);
        loop {
            let name = next_name().map_err(|source| ServerError::RuntimeFolder {
                path: folder.clone(),
                source,
            })?;
            let path = folder.join(format!("{name}.lock"));
            if let Some(lock) = claim(&path).map_err(|source| ServerError::RuntimeFolder {
                path: path.clone(),
                source,
            })? {
                return Ok(Self {
                    owner: std::process::id(),
                    folder,
                    name,
                    _lock: lock,
                });
            }
        }
    }

    /// The socket's path: no such file yet.
    pub(crate) fn socket(&self) -> Result<PathBuf, ServerError> {
        let path = self.file("sock");
        let length = path.as_os_str().as_bytes().len();
        if length > LONGEST_SOCKET_PATH {
            return Err(ServerError::SocketPathTooLong {
                path,
                length,
                limit: LONGEST_SOCKET_PATH,
            });
        }
        Ok(path)
    }

    /// Makes a random key and writes it to a file that only this user can read.
    pub(crate) fn key(&self) -> Result<(Secret, PathBuf), ServerError> {
        let path = self.file("key");
        let write = || {
            let key = random_text(KEY_BYTES)?;
            let mut file = File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(key.as_bytes())?;
            file.write_all(b"\n")?;
            Ok(Secret::new(key))
        };
        match write() {
            Ok(key) => Ok((key, path)),
            Err(source) => Err(ServerError::RuntimeFolder { path, source }),
        }
    }

    /// Removes the key's file: the server has read it.
    pub(crate) fn forget_key(&self) {
        remove(&self.file("key"));
    }

    /// A folder with nothing in it, in place of the user's configuration.
    pub(crate) fn empty_folder(&self) -> Result<PathBuf, ServerError> {
        let path = self.folder.join("empty");
        make_private(&path)?;
        Ok(path)
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("{}.{kind}", self.name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.owner != std::process::id() {
            return;
        }
        for kind in ["key", "sock", "lock"] {
            remove(&self.file(kind));
        }
    }
}

/// The folder of this user's sockets and locks, made private if it is not there yet:
/// `$XDG_RUNTIME_DIR/llamatelemetry`, else `/tmp/llamatelemetry-UID`.
pub fn runtime_folder(environment: &Environment) -> Result<PathBuf, ServerError> {
    let path = environment
        .get_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        // After `su` it may be another user's, who would not thank us for a folder in it.
        .filter(|base| {
            base.is_absolute()
                && base
                    .metadata()
                    .is_ok_and(|found| found.is_dir() && found.uid() == user())
        })
        .map_or_else(
            || PathBuf::from(format!("/tmp/llamatelemetry-{}", user())),
            |base| base.join("llamatelemetry"),
        );
    make_private(&path)?;
    Ok(path)
}

/// Makes a folder that only this user can look into, or makes sure that it is one.
fn make_private(path: &Path) -> Result<(), ServerError> {
    let failed = |source| ServerError::RuntimeFolder {
        path: path.to_owned(),
        source,
    };
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    let found = path.symlink_metadata().map_err(failed)?;
    let problem = if !found.is_dir() {
        "is not a folder"
    } else if found.uid() != user() {
        "belongs to another user"
    } else if found.mode() & 0o077 != 0 {
        "is open to other users"
    } else {
        return Ok(());
    };
    Err(ServerError::FolderNotPrivate {
        problem,
        path: path.to_owned(),
    })
}

/// Removes what dead owners left. What cannot be removed is left to the next launch.
fn clean(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.extension() != Some("lock".as_ref()) {
            continue;
        }
        let Ok(file) = File::options().write(true).open(&path) else {
            continue;
        };
        if file.try_lock().is_ok() {
            remove(&path.with_extension("key"));
            remove(&path.with_extension("sock"));
            remove(&path);
        }
    }
}

/// Creates and locks a file. `None` if somebody else was quicker: another name is needed then.
fn claim(path: &Path) -> io::Result<Option<File>> {
    let created = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let file = match created {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
        Err(std::fs::TryLockError::Error(error)) => return Err(error),
    }
    // Somebody cleaning up may have taken it for a dead owner's before it was locked.
    Ok((file.metadata()?.nlink() > 0).then_some(file))
}

/// Short, and unlike any other launch's: the process, the launch in it, four random letters.
fn next_name() -> io::Result<String> {
    static LAUNCHES: AtomicU32 = AtomicU32::new(0);
    let launch = LAUNCHES.fetch_add(1, Ordering::Relaxed);
    Ok(format!(
        "{:x}-{launch:x}-{}",
        std::process::id(),
        random_text(2)?
    ))
}

fn random_text(bytes: usize) -> io::Result<String> {
    let mut random = vec![0; bytes];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let digits = random.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Ok(digits
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect())
}

/// What is gone already need not be removed, and there is nobody to tell of the rest.
fn remove(path: &Path) {
    drop(std::fs::remove_file(path));
}

#[cfg(test)]
mod tests;
