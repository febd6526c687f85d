//! An HTTP file server on the loopback that misbehaves on request, and remembers what it was asked.

mod wire;

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A file and how it is served.
#[derive(Debug, Clone, Default)]
pub struct Served {
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// Its `ETag`, quotes included.
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    pub last_modified: Option<String>,
    /// Further headers of a good answer.
    pub headers: Vec<(String, String)>,
    /// What goes wrong.
    pub faults: Faults,
}

/// What goes wrong with a file. The default is nothing.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Bytes a second on each connection.
    pub throttle: Option<u64>,
    /// Statuses that the next requests get instead of the file, first to last.
    pub statuses: Vec<u16>,
    /// The next so many bodies break off after so many bytes: (bodies, bytes).
    pub drops: Option<(usize, u64)>,
    /// The next so many requests are dropped without an answer.
    pub hang_ups: usize,
    /// Ranges are ignored: everything is sent, with status 200.
    pub ignore_ranges: bool,
    /// The byte at this place is sent wrong.
    pub wrong_byte: Option<u64>,
    /// The size that is claimed, in `Content-Range` or for a whole answer in `Content-Length`.
    pub claimed_size: Option<u64>,
    /// Sent before the status line.
    pub delay: Duration,
    /// No answer ever, but an open connection.
    pub silent: bool,
    /// Everything is answered by a redirect to this address.
    pub redirect: Option<String>,
    /// The whole is sent in chunks of unknown total length.
    pub chunked: bool,
    /// After so many requests the file becomes this one.
    pub becomes: Option<(usize, Box<Served>)>,
}

impl Served {
    /// A well-behaved file with a tag made from its bytes.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        Self {
            etag: Some(format!("\"{sum:016x}\"")),
            bytes,
            ..Self::default()
        }
    }

    /// The same file with faults.
    #[must_use]
    pub fn with(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }
}

/// A request as it came, and what was sent.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET`, `HEAD`, `CONNECT`.
    pub method: String,
    /// The path with its query; for `CONNECT` the host and port.
    pub path: String,
    /// The range asked for: first byte, and last byte if given.
    pub range: Option<(u64, Option<u64>)>,
    /// All headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The status answered; 0 until then.
    pub status: u16,
    /// Body bytes sent so far.
    pub sent: u64,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Served>,
    seen: Vec<Seen>,
    connections: Vec<TcpStream>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    stopping: AtomicBool,
}

/// The server. Dropping it ends it and all its connections.
pub struct FileServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for FileServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FileServer").field(&self.address).finish()
    }
}

impl FileServer {
    /// Starts a server without files on a free port of 127.0.0.1.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = std::thread::Builder::new()
            .name("file-server".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || wire::accept(&listener, &shared)
            })?;
        Ok(Self {
            address,
            shared,
            accepting: Some(accepting),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a path, by number.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The address of a path by another name of the same machine.
    pub fn url_by_name(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.address.port())
    }

    /// Serves a file at a path from now on.
    pub fn put(&self, path: &str, file: Served) {
        self.lock().files.insert(path.to_owned(), file);
    }

    /// Changes what goes wrong with a file.
    pub fn set_faults(&self, path: &str, faults: Faults) {
        if let Some(file) = self.lock().files.get_mut(path) {
            file.faults = faults;
        }
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.lock().seen.clear();
    }

    /// Body bytes sent in all requests that are remembered.
    pub fn sent(&self) -> u64 {
        self.lock().seen.iter().map(|seen| seen.sent).sum()
    }

    /// Waits until the requests so far satisfy a condition; false if they do not in time.
    pub fn wait(&self, within: Duration, condition: impl Fn(&[Seen]) -> bool) -> bool {
        let waited = self
            .shared
            .changed
            .wait_timeout_while(self.lock(), within, |state| !condition(&state.seen))
            .unwrap_or_else(PoisonError::into_inner);
        !waited.1.timed_out()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        // Wakes the accepting thread; if that fails it is not waiting.
        let _woken = TcpStream::connect(self.address);
        for connection in self.lock().connections.drain(..) {
            let _closed = connection.shutdown(Shutdown::Both);
        }
        if let Some(accepting) = self.accepting.take() {
            let _ended = accepting.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}
