//! One process reads, the others follow.
//!
//! Whoever holds the lock in the shared folder reads, and listens at the socket beside it. The
//! kernel gives the lock up when the process dies, in whatever way, and closes its connections:
//! those who followed notice at once and one of them takes the lock.

use super::frame::{FromFollower, Inbox, ToFollower, VERSION, encode};
use crate::sys;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A follower that takes nothing for so long does not follow: it is stopped or stuck.
const PATIENCE: Duration = Duration::from_secs(10);
/// When nobody can be let in, for want of descriptors mostly, the listener stays readable: it is
/// left alone for so long.
const DEAF: Duration = Duration::from_secs(1);
/// Nobody follows with so many processes.
const MOST_FOLLOWERS: usize = 128;

/// The place where processes meet.
#[derive(Debug, Clone)]
pub(super) struct Meeting {
    lock: PathBuf,
    socket: PathBuf,
}

impl Meeting {
    /// In a folder that only this user can look into.
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self {
            // Not `*.lock`: those are launches', and are removed with what lies beside them.
            lock: folder.join(format!("sampler-{VERSION}")),
            socket: folder.join(format!("sampler-{VERSION}.socket")),
        }
    }

    /// Where the one who reads listens.
    #[cfg(test)]
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Becomes the one who reads; `None` if somebody is already.
    pub(super) fn lead(&self) -> io::Result<Option<Leader>> {
        // The file stays for ever: removing it would let two processes lock two files of one name.
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.lock)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
        // Only the holder of the lock listens, so what lies here is a dead one's.
        match std::fs::remove_file(&self.socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&self.socket)?;
        listener.set_nonblocking(true)?;
        Ok(Some(Leader {
            _lock: lock,
            listener,
            deaf_until: None,
            followers: Vec::new(),
        }))
    }

    /// Follows the one who reads.
    pub(super) fn follow(&self) -> io::Result<Link> {
        // Without waiting: one who is stopped lets nobody in, and their queue may be full.
        Ok(Link::over(sys::connect(&self.socket)?))
    }
}

/// The one who reads.
#[derive(Debug)]
pub(super) struct Leader {
    /// Held, never read: closing it gives the lock up.
    _lock: File,
    listener: UnixListener,
    /// Until then nobody is let in.
    deaf_until: Option<Instant>,
    followers: Vec<Follower>,
}

#[derive(Debug)]
struct Follower {
    stream: UnixStream,
    inbox: Inbox,
    /// The rest of a frame that did not fit the socket's buffer; further frames are left out
    /// until it has gone.
    outbox: Vec<u8>,
    last_taken: Instant,
    busy: bool,
}

impl Leader {
    /// What becomes readable when somebody comes or says something.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let listener = (!self.deaf()).then(|| self.listener.as_fd());
        listener.into_iter().chain(
            self.followers
                .iter()
                .map(|follower| follower.stream.as_fd()),
        )
    }

    fn deaf(&self) -> bool {
        self.deaf_until.is_some_and(|until| Instant::now() < until)
    }

    /// Lets new ones in, showing them the latest sample, and listens to all. `true`: somebody
    /// wants a full look now.
    pub(super) fn attend(&mut self, latest: Option<&ToFollower>) -> bool {
        self.admit(latest);
        let mut look = false;
        self.followers.retain_mut(|follower| {
            let heard = follower.listen();
            look |= heard.as_ref().is_ok_and(|look| *look);
            heard.is_ok()
        });
        look
    }

    fn admit(&mut self, latest: Option<&ToFollower>) {
        if self.deaf() {
            return;
        }
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => continue,
                    io::ErrorKind::WouldBlock => return,
                    _ => {
                        self.deaf_until = Some(Instant::now() + DEAF);
                        return;
                    }
                },
            };
            if self.followers.len() >= MOST_FOLLOWERS || stream.set_nonblocking(true).is_err() {
                continue;
            }
            let mut follower = Follower {
                stream,
                inbox: Inbox::default(),
                outbox: Vec::new(),
                last_taken: Instant::now(),
                busy: false,
            };
            let shown = latest.and_then(|latest| encode(latest).ok());
            if follower.send(&shown.unwrap_or_default()).is_ok() {
                self.followers.push(follower);
            }
        }
    }

    /// Whether any follower has work in flight.
    pub(super) fn busy(&self) -> bool {
        self.followers.iter().any(|follower| follower.busy)
    }

    /// Sends a sample to everybody who can take it.
    pub(super) fn publish(&mut self, sample: &ToFollower) {
        if self.followers.is_empty() {
            return;
        }
        if let Ok(frame) = encode(sample) {
            self.followers
                .retain_mut(|follower| follower.send(&frame).is_ok());
        }
    }
}

impl Follower {
    fn listen(&mut self) -> io::Result<bool> {
        let open = self.inbox.fill(&self.stream)?;
        let mut look = false;
        while let Some(message) = self.inbox.next::<FromFollower>()? {
            self.busy = message.busy;
            look |= message.look;
        }
        if open {
            Ok(look)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        if self.outbox.is_empty() {
            self.outbox.extend_from_slice(frame);
            self.last_taken = Instant::now();
        }
        while !self.outbox.is_empty() {
            match self.stream.write(&self.outbox) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.outbox.drain(..count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return if self.last_taken.elapsed() < PATIENCE {
                        Ok(())
                    } else {
                        Err(error)
                    };
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The connection to the one who reads.
#[derive(Debug)]
pub(super) struct Link {
    stream: UnixStream,
    inbox: Inbox,
}

impl Link {
    /// Over a connection that does not block.
    pub(super) fn over(stream: UnixStream) -> Self {
        Self {
            stream,
            inbox: Inbox::default(),
        }
    }

    /// Becomes readable when a sample comes.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// The samples that came. An error: there is nobody who reads any more.
    pub(super) fn samples(&mut self) -> io::Result<Vec<ToFollower>> {
        let open = self.inbox.fill(&self.stream)?;
        let mut samples = Vec::new();
        while let Some(sample) = self.inbox.next()? {
            samples.push(sample);
        }
        if open || !samples.is_empty() {
            Ok(samples)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// Tells what is wanted here.
    pub(super) fn tell(&mut self, message: FromFollower) -> io::Result<()> {
        // A few bytes: a socket that has no room for them belongs to somebody who does not read.
        self.stream.write_all(&encode(&message)?)
    }
}
