//! Connections to one server: opened when needed, kept for reuse, closed when an answer is dropped.

use crate::{Address, ApiError};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use std::io::ErrorKind::TimedOut;
use std::net::Shutdown;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Idle connections are dropped before llama-server closes them: it does so after 5 s.
const KEEP_IDLE: Duration = Duration::from_secs(4);
/// Idle connections kept at most.
const KEEP_AT_MOST: usize = 32;

/// A machine that does not answer at all is not waited for any longer.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// One open connection and the task that drives it. Dropping it closes the socket.
#[derive(Debug)]
pub struct Connection {
    /// The process that opened it: a fork of it has a copy of the same socket.
    owner: u32,
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    socket: Socket,
}

/// A second handle on a connection's socket.
#[derive(Debug)]
enum Socket {
    Unix(std::os::unix::net::UnixStream),
    Tcp(std::net::TcpStream),
}

impl Socket {
    /// Ends both directions: the server hears of it now.
    fn shut_down(&self) -> std::io::Result<()> {
        match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // In a fork, the connection is still the other process's.
        if self.owner != std::process::id() {
            return;
        }
        // The task, and its handle on the socket, go only when their runtime runs again, which may
        // be never; the slot must not wait for that. A socket that is closed already is as good.
        drop(self.socket.shut_down());
        self.driver.abort();
    }
}

impl Connection {
    /// Closes it under whoever still reads from it: the body that it carries breaks off.
    pub fn cut(&self) {
        // One that is closed already is as good.
        drop(self.socket.shut_down());
    }
}

/// A request that was sent, and the head of its answer.
#[derive(Debug)]
pub struct Sent {
    /// Its head, and the body that still comes.
    pub response: Response<Incoming>,
    /// What carries the body.
    pub connection: Connection,
    /// How often it was sent again, on a new connection.
    pub resends: u32,
}

/// The connections to one address.
#[derive(Debug)]
pub struct Pool {
    address: Address,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

impl Pool {
    /// No connection is opened yet.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            idle: Mutex::default(),
        }
    }

    /// Where the server listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a request and waits for the response's head.
    ///
    /// A server may close an idle connection at the moment it is used again. Then, and only then,
    /// the request is sent once more on a new connection.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Sent, ApiError> {
        self.send_on(request, true).await
    }

    /// Like [`Pool::send`], but nothing that may have arrived is sent again: for what must not
    /// happen twice.
    pub async fn send_once(&self, request: Request<Full<Bytes>>) -> Result<Sent, ApiError> {
        self.send_on(request, false).await
    }

    async fn send_on(
        &self,
        request: Request<Full<Bytes>>,
        may_repeat: bool,
    ) -> Result<Sent, ApiError> {
        let path = request.uri().path().to_owned();
        let mut resends = 0;
        if let Some(mut connection) = self.take_idle() {
            match connection.sender.try_send_request(request.clone()).await {
                Ok(response) => {
                    return Ok(Sent {
                        response,
                        connection,
                        resends,
                    });
                }
                Err(mut failed) => {
                    if failed.take_message().is_none() && !may_repeat {
                        return Err(ApiError::Broken {
                            path,
                            source: Some(failed.into_error()),
                        });
                    }
                }
            }
            resends += 1;
        }
        let mut connection = self.open().await?;
        match connection.sender.send_request(request).await {
            Ok(response) => Ok(Sent {
                response,
                connection,
                resends,
            }),
            Err(source) => Err(ApiError::Broken {
                path,
                source: Some(source),
            }),
        }
    }

    /// Takes back a connection whose response was read to its end.
    pub fn keep(&self, connection: Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEEP_AT_MOST {
            idle.push((connection, Instant::now()));
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(connection, since)| {
            since.elapsed() < KEEP_IDLE && !connection.sender.is_closed()
        });
        // The youngest is the least likely to be closed; one still busy with its last body is not
        // ready and stays.
        let ready = idle
            .iter()
            .rposition(|(connection, _)| connection.sender.is_ready())?;
        Some(idle.swap_remove(ready).0)
    }

    async fn open(&self) -> Result<Connection, ApiError> {
        let refused = |source| ApiError::Connect {
            address: self.address.clone(),
            source,
        };
        let opened = match &self.address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(refused)?;
                let stream = stream.into_std().map_err(refused)?;
                let socket = Socket::Unix(stream.try_clone().map_err(refused)?);
                let stream = UnixStream::from_std(stream).map_err(refused)?;
                Self::start(TokioIo::new(stream), socket).await
            }
            Address::Tcp(address) => {
                let connecting = timeout(CONNECT_LIMIT, TcpStream::connect(address));
                let connected = connecting
                    .await
                    .unwrap_or_else(|_elapsed| Err(TimedOut.into()));
                let stream = connected.map_err(refused)?;
                stream.set_nodelay(true).map_err(refused)?;
                let stream = stream.into_std().map_err(refused)?;
                let socket = Socket::Tcp(stream.try_clone().map_err(refused)?);
                let stream = TcpStream::from_std(stream).map_err(refused)?;
                Self::start(TokioIo::new(stream), socket).await
            }
        };
        opened.map_err(|error| refused(std::io::Error::other(error)))
    }

    async fn start<T>(io: T, socket: Socket) -> Result<Connection, hyper::Error>
    where
        T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let (sender, connection) = Builder::new()
            // Whoever passes messages on passes on how their headers were written.
            .preserve_header_case(true)
            .handshake(io)
            .await?;
        let driver = tokio::runtime::Handle::current().spawn(async move {
            // A failure reaches whoever reads the response's body; there is nobody else to tell.
            drop(connection.await);
        });
        Ok(Connection {
            owner: std::process::id(),
            sender,
            driver,
            socket,
        })
    }
}
