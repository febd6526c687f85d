//! What is listened on.

use super::Peer;
use crate::GatewayError;
use std::fmt;
use std::fs::Permissions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// The pause after a connection could not be accepted for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Where a door is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listening {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What is listened on.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// A socket's file. Dropping it removes the file, unless somebody else has put another there.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

/// A connection that has just come in.
#[derive(Debug)]
pub(super) enum Incoming {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    /// Takes a TCP address.
    pub(crate) async fn tcp(address: SocketAddr) -> Result<Self, GatewayError> {
        TcpListener::bind(address)
            .await
            .map(Self::Tcp)
            .map_err(|source| GatewayError::Listen { address, source })
    }

    /// Makes a socket that only this user can open. One that nobody listens on any more is
    /// replaced.
    pub(crate) fn unix(path: &Path) -> Result<Self, GatewayError> {
        let failed = |source| GatewayError::Socket {
            path: path.to_owned(),
            source,
        };
        remove_stale(path).map_err(failed)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        let inode = path.symlink_metadata().map_err(failed)?.ino();
        let file = SocketFile {
            path: path.to_owned(),
            inode,
        };
        Ok(Self::Unix(listener, file))
    }

    /// Where that is.
    pub(crate) fn listening(&self) -> Result<Listening, GatewayError> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Listening::Tcp).map_err(|source| {
                let address = SocketAddr::from(([0, 0, 0, 0], 0));
                GatewayError::Listen { address, source }
            }),
            Self::Unix(_, file) => Ok(Listening::Unix(file.path.clone())),
        }
    }

    /// The next connection. `None` if one broke before its first byte, or could not be had.
    pub(super) async fn accept(&self) -> Option<Incoming> {
        let accepted = match self {
            Self::Tcp(listener) => listener
                .accept()
                .await
                // Without it a small piece of a stream waits up to 40 ms for the client's
                // acknowledgement.
                .and_then(|(stream, remote)| {
                    stream.set_nodelay(true)?;
                    Ok(Incoming::Tcp(stream, remote))
                }),
            Self::Unix(listener, _) => listener
                .accept()
                .await
                .map(|(stream, _)| Incoming::Unix(stream)),
        };
        match accepted {
            Ok(incoming) => Some(incoming),
            Err(error) => {
                wait_out(&error).await;
                None
            }
        }
    }
}

impl Incoming {
    pub(super) fn peer(&self) -> Peer {
        match self {
            Self::Tcp(_, remote) => Peer::of(*remote),
            Self::Unix(_) => Peer::Unix,
        }
    }

    /// Writes what fits at once.
    pub(super) fn try_write(&self, bytes: &[u8]) {
        // Who is turned away may be gone already.
        drop(match self {
            Self::Tcp(stream, _) => stream.try_write(bytes),
            Self::Unix(stream) => stream.try_write(bytes),
        });
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = self
            .path
            .symlink_metadata()
            .is_ok_and(|found| found.ino() == self.inode);
        if is_ours {
            // What is gone already need not be removed.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file that is no socket",
        ));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) => Err(error),
    }
}

/// Connections that break by themselves are nothing; without file descriptors a moment's rest
/// lets some come free.
async fn wait_out(error: &io::Error) {
    if matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::InvalidInput
    ) {
        return;
    }
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(PAUSE).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_private_and_goes_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        // Somebody who died left one.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = Listener::unix(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let second = Listener::unix(&path);
        assert!(matches!(second, Err(GatewayError::Socket { .. })));
        drop(listener);
        assert!(!path.exists());
        std::fs::write(&path, "mine").unwrap();
        assert!(Listener::unix(&path).is_err());
        assert!(path.exists());
    }
}
