//! One connection, from its first byte to its last.

use super::listener::Incoming;
use super::patient::Patient;
use super::{Manners, Peer, Speaks};
use axum::Router;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming as IncomingBody;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::Watcher;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes that a request's head may have.
const HEAD_SIZE: usize = 64 << 10;

/// How often a silent HTTP/2 connection is asked whether it is still there, and how long it may
/// take to say so.
const ALIVE: Duration = Duration::from_secs(30);
/// Requests at once on one HTTP/2 connection.
const STREAMS: u32 = 128;

/// The routes, with a word on where each request came from.
#[derive(Debug, Clone)]
struct Marked {
    routes: TowerToHyperService<Router>,
    peer: Peer,
}

impl Service<Request<IncomingBody>> for Marked {
    type Response = Response;
    type Error = Infallible;
    type Future = <TowerToHyperService<Router> as Service<Request<IncomingBody>>>::Future;

    fn call(&self, mut request: Request<IncomingBody>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.routes.call(request)
    }
}

/// A service that remembers whether it was asked anything.
struct Asked {
    inner: Marked,
    asked: Arc<AtomicBool>,
}

impl Service<Request<IncomingBody>> for Asked {
    type Response = Response;
    type Error = Infallible;
    type Future = <Marked as Service<Request<IncomingBody>>>::Future;

    fn call(&self, request: Request<IncomingBody>) -> Self::Future {
        self.asked.store(true, Ordering::Release);
        self.inner.call(request)
    }
}

/// How one connection is served.
pub(super) struct Connection {
    service: Marked,
    manners: Manners,
}

impl Connection {
    pub(super) fn new(routes: &Router, manners: &Manners, peer: Peer) -> Self {
        Self {
            service: Marked {
                routes: TowerToHyperService::new(routes.clone()),
                peer,
            },
            manners: manners.clone(),
        }
    }

    pub(super) async fn serve(self, incoming: Incoming, watcher: Watcher) {
        match incoming {
            Incoming::Tcp(stream, _) => self.secure(stream, watcher).await,
            Incoming::Unix(stream) => self.secure(stream, watcher).await,
        }
    }

    async fn secure<S>(self, stream: S, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Some(tls) = &self.manners.tls else {
            return self.speak(stream, watcher).await;
        };
        let shaking = tls.acceptor().accept(stream);
        match tokio::time::timeout(self.manners.patience, shaking).await {
            Ok(Ok(stream)) => self.speak(stream, watcher).await,
            Ok(Err(error)) => tracing::debug!(%error, "a client and we found no common TLS"),
            Err(_) => tracing::debug!("a client began TLS and went silent"),
        }
    }

    async fn speak<S>(self, stream: S, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let patience = self.manners.patience;
        let stream = TokioIo::new(Patient::new(stream, patience));
        let served = match self.manners.speaks {
            Speaks::Http1 => {
                let serving = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(patience)
                    .max_buf_size(HEAD_SIZE)
                    .half_close(false)
                    .preserve_header_case(true)
                    .serve_connection(stream, self.service);
                watcher.watch(serving).await
            }
            Speaks::Http2 => return self.speak_http2(stream, watcher).await,
        };
        if let Err(error) = served {
            tracing::debug!(%error, "a connection broke");
        }
    }

    async fn speak_http2<S>(self, stream: TokioIo<Patient<S>>, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let asked = Arc::new(AtomicBool::new(false));
        let service = Asked {
            inner: self.service,
            asked: asked.clone(),
        };
        let serving = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(ALIVE)
            .keep_alive_timeout(ALIVE)
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(u32::try_from(HEAD_SIZE).unwrap_or(u32::MAX))
            .serve_connection(stream, service);
        let mut serving = std::pin::pin!(watcher.watch(serving));
        // Whoever only begins a connection is not waited for: the library has no limit for that.
        let begun = tokio::time::timeout(self.manners.patience, &mut serving).await;
        let served = match begun {
            Ok(served) => served,
            Err(_elapsed) if !asked.load(Ordering::Acquire) => return,
            Err(_elapsed) => serving.await,
        };
        if let Err(error) = served {
            tracing::debug!(%error, "a connection broke");
        }
    }
}
