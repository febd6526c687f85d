//! Where connections come in.

use crate::GatewayError;
use axum::Router;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a client may take to send a request's head.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// Bytes that a request's head may have.
const HEAD_SIZE: usize = 64 << 10;
/// The pause after a connection could not be accepted for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

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
    pub(crate) fn open(listener: TcpListener, routes: Router) -> Result<Self, GatewayError> {
        let address = listener
            .local_addr()
            .map_err(|source| GatewayError::Listen {
                address: SocketAddr::from(([0, 0, 0, 0], 0)),
                source,
            })?;
        let (close, closing) = oneshot::channel();
        let accepting = Handle::current().spawn(accept(listener, routes, closing));
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

async fn accept(listener: TcpListener, routes: Router, mut closing: oneshot::Receiver<Duration>) {
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
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_LIMIT)
            .max_buf_size(HEAD_SIZE)
            .half_close(false)
            .serve_connection(
                TokioIo::new(stream),
                Marked {
                    routes: TowerToHyperService::new(routes.clone()),
                    peer: Peer::of(remote),
                },
            );
        let serving = graceful.watch(serving);
        Handle::current().spawn(async move {
            if let Err(error) = serving.await {
                tracing::debug!(%error, "a connection broke");
            }
        });
    };
    drop(listener);
    if tokio::time::timeout(limit, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were still in flight when the time to finish them was over");
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
