//! Where connections come in.

use crate::GatewayError;
use axum::Router;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a client may take to send a request's head.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// Bytes that a request's head may have.
const HEAD_SIZE: usize = 64 << 10;
/// The pause after a connection could not be accepted for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// How often a silent HTTP/2 connection is asked whether it is still there, and how long it may
/// take to say so.
const ALIVE: Duration = Duration::from_secs(30);
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 128;

/// What is spoken at a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// HTTP/1.1, and 1.0.
    Http1,
    /// HTTP/2 from the first byte, as gRPC speaks it.
    Http2,
}

/// Where a connection came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Another process of this machine, over loopback.
    Loopback,
    /// A process of this machine that may open our socket.
    #[expect(dead_code, reason = "sockets come next")]
    Unix,
    /// Anywhere.
    Elsewhere,
}

impl Peer {
    fn of(address: SocketAddr) -> Self {
        if address.ip().to_canonical().is_loopback() {
            Self::Loopback
        } else {
            Self::Elsewhere
        }
    }

    /// Whether it is of this machine.
    pub(crate) fn is_at_home(self) -> bool {
        self != Self::Elsewhere
    }
}

/// The routes, with a word on where each request came from.
#[derive(Debug, Clone)]
struct Marked {
    routes: TowerToHyperService<Router>,
    peer: Peer,
}

impl Service<Request<Incoming>> for Marked {
    type Response = Response;
    type Error = Infallible;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.routes.call(request)
    }
}

/// A door that connections come in by. Dropping it cuts them all.
#[derive(Debug)]
pub(crate) struct Door {
    address: SocketAddr,
    close: Option<oneshot::Sender<Duration>>,
    accepting: JoinHandle<()>,
}

impl Door {
    /// Takes the address.
    pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, GatewayError> {
        TcpListener::bind(address)
            .await
            .map_err(|source| GatewayError::Listen { address, source })
    }

    /// Lets connections in.
    pub(crate) fn open(
        listener: TcpListener,
        routes: Router,
        speaks: Speaks,
    ) -> Result<Self, GatewayError> {
        let address = listener
            .local_addr()
            .map_err(|source| GatewayError::Listen {
                address: SocketAddr::from(([0, 0, 0, 0], 0)),
                source,
            })?;
        let (close, closing) = oneshot::channel();
        let accepting = Handle::current().spawn(accept(listener, routes, speaks, closing));
        Ok(Self {
            address,
            close: Some(close),
            accepting,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nobody in any more and waits, at most so long, for those who are in.
    pub(crate) async fn close(mut self, limit: Duration) {
        if let Some(close) = self.close.take()
            && close.send(limit).is_ok()
        {
            // A panic in it has nothing to say here.
            drop((&mut self.accepting).await);
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    routes: Router,
    speaks: Speaks,
    mut closing: oneshot::Receiver<Duration>,
) {
    let graceful = GracefulShutdown::new();
    let limit = loop {
        let accepted = tokio::select! {
            limit = &mut closing => break limit.unwrap_or_default(),
            accepted = listener.accept() => accepted,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                wait_out(&error).await;
                continue;
            }
        };
        // Without it a small piece of a stream waits up to 40 ms for the client's acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection broke before its first byte");
            continue;
        }
        let service = Marked {
            routes: TowerToHyperService::new(routes.clone()),
            peer: Peer::of(remote),
        };
        match speaks {
            Speaks::Http1 => speak_http1(stream, service, &graceful),
            Speaks::Http2 => speak_http2(stream, service, &graceful),
        }
    };
    drop(listener);
    if tokio::time::timeout(limit, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were still in flight when the time to finish them was over");
    }
}

fn speak_http1(stream: TcpStream, service: Marked, graceful: &GracefulShutdown) {
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(HEAD_SIZE)
        .half_close(false)
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(stream), service);
    let serving = graceful.watch(serving);
    Handle::current().spawn(async move {
        if let Err(error) = serving.await {
            tracing::debug!(%error, "a connection broke");
        }
    });
}

fn speak_http2(stream: TcpStream, service: Marked, graceful: &GracefulShutdown) {
    let asked = Arc::new(AtomicBool::new(false));
    let service = Asked {
        inner: service,
        asked: asked.clone(),
    };
    let serving = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(ALIVE)
        .keep_alive_timeout(ALIVE)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEAD_SIZE).unwrap_or(u32::MAX))
        .serve_connection(TokioIo::new(stream), service);
    let serving = graceful.watch(serving);
    Handle::current().spawn(async move {
        let mut serving = std::pin::pin!(serving);
        // Whoever only begins a connection is not waited for: the library has no limit for that.
        let begun = tokio::time::timeout(HEAD_LIMIT, &mut serving).await;
        let outcome = match begun {
            Ok(outcome) => outcome,
            Err(_elapsed) if !asked.load(Ordering::Acquire) => return,
            Err(_elapsed) => serving.await,
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "a connection broke");
        }
    });
}

/// A service that remembers whether it was asked anything.
struct Asked<S> {
    inner: S,
    asked: Arc<AtomicBool>,
}

impl<S: Service<Request<Incoming>>> Service<Request<Incoming>> for Asked<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.asked.store(true, Ordering::Release);
        self.inner.call(request)
    }
}

/// Connections that break by themselves are nothing; without file descriptors a moment's rest
/// lets some come free.
async fn wait_out(error: &io::Error) {
    if matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    ) {
        return;
    }
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(PAUSE).await;
}
