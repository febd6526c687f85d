//! A stub upstream: an HTTP server that a test writes the answers of, byte for byte.
//!
//! Only for what a real `llama-server` cannot be made to do: end at an exact byte, send a corrupt
//! stream, close an idle connection at a chosen moment.

mod message;
mod stream;

#[cfg(test)]
mod tests;

pub use message::{StubReply, StubRequest};

use llamatelemetry_api::Address;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use stream::{Listener, Stream};
use tempfile::TempDir;

type Handler = dyn Fn(&StubRequest, &mut StubReply) -> io::Result<()> + Send + Sync;

/// A running stub. Dropping it closes every connection and ends its threads.
#[derive(Debug)]
pub struct StubServer {
    address: Address,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
    _folder: Option<TempDir>,
}

struct Shared {
    handler: Box<Handler>,
    stopping: AtomicBool,
    requests: Mutex<Vec<StubRequest>>,
    connections: Mutex<Vec<Connection>>,
}

struct Connection {
    stream: Stream,
    serving: JoinHandle<()>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl StubServer {
    /// Listens on a loopback port that the system chooses. The handler answers each request; an
    /// error that it returns (the peer went away) ends that connection.
    pub fn tcp<H>(handler: H) -> Self
    where
        H: Fn(&StubRequest, &mut StubReply) -> io::Result<()> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        let address = listener.local_addr().expect("the port's number");
        Self::start(
            Address::Tcp(address),
            Listener::Tcp(listener),
            None,
            Box::new(handler),
        )
    }

    /// Listens on a Unix socket in a folder of its own.
    pub fn unix<H>(handler: H) -> Self
    where
        H: Fn(&StubRequest, &mut StubReply) -> io::Result<()> + Send + Sync + 'static,
    {
        let folder = tempfile::Builder::new()
            .prefix("lt-stub-")
            .tempdir()
            .expect("a temporary folder");
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).expect("a Unix socket");
        Self::start(
            Address::Unix(path),
            Listener::Unix(listener),
            Some(folder),
            Box::new(handler),
        )
    }

    fn start(
        address: Address,
        listener: Listener,
        folder: Option<TempDir>,
        handler: Box<Handler>,
    ) -> Self {
        let shared = Arc::new(Shared {
            handler,
            stopping: AtomicBool::new(false),
            requests: Mutex::default(),
            connections: Mutex::default(),
        });
        let accepting = std::thread::Builder::new()
            .name("stub-accept".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.accept(&listener)
            })
            .expect("a thread");
        Self {
            address,
            shared,
            accepting: Some(accepting),
            _folder: folder,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Every request received so far, in the order of arrival.
    pub fn requests(&self) -> Vec<StubRequest> {
        lock(&self.shared.requests).clone()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        lock(&self.shared.connections).len()
    }

    /// Closes every connection that is open now, as a server does with idle ones. Listening goes
    /// on.
    pub fn close_connections(&self) {
        for connection in lock(&self.shared.connections).iter() {
            connection.stream.close();
        }
    }
}

impl Drop for StubServer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.close_connections();
        // A connection of our own wakes the thread that accepts.
        drop(Stream::connect(&self.address));
        if let Some(accepting) = self.accepting.take() {
            drop(accepting.join());
        }
        for connection in lock(&self.shared.connections).drain(..) {
            connection.stream.close();
            drop(connection.serving.join());
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &Listener) {
        while let Ok(stream) = listener.accept() {
            if self.stopping.load(Ordering::SeqCst) {
                return;
            }
            let mut connections = lock(&self.connections);
            let number = connections.len();
            let Ok(kept) = stream.try_clone() else { return };
            let shared = Arc::clone(self);
            let serving = std::thread::Builder::new()
                .name(format!("stub-{number}"))
                .spawn(move || {
                    // The peer going away in mid-message is what many tests are about.
                    drop(shared.serve(stream, number));
                });
            let Ok(serving) = serving else { return };
            connections.push(Connection {
                stream: kept,
                serving,
            });
        }
    }

    fn serve(&self, stream: Stream, connection: usize) -> io::Result<()> {
        let mut reply = StubReply::new(stream);
        while let Some(request) = reply.next_request(connection)? {
            lock(&self.requests).push(request.clone());
            (self.handler)(&request, &mut reply)?;
            if reply.is_closed() {
                break;
            }
        }
        reply.close();
        Ok(())
    }
}

/// A poisoned lock only says that a handler failed its own assertion.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
