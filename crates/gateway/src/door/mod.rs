//! Where connections come in: over TCP or a Unix socket, in the clear or in TLS.
//!
//! A client costs little before it has sent a request, and never much: heads are limited in size
//! and time, connections in number, and one that does not take its answer is cut.

mod connection;
mod listener;
mod patient;
mod tls;

pub(crate) use listener::{Listener, Listening};
pub(crate) use tls::Tls;

use crate::GatewayError;
use axum::Router;
use connection::Connection;
use hyper_util::server::graceful::GracefulShutdown;
use listener::Incoming;
use llamatelemetry_settings::ServeSettings;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// Where a connection came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Another process of this machine, over loopback.
    Loopback,
    /// A process of this machine that may open our socket.
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

/// What is spoken at a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// HTTP/1.1, and 1.0.
    Http1,
    /// HTTP/2 from the first byte, as gRPC speaks it.
    Http2,
}

/// How clients are met at a door.
#[derive(Debug, Clone)]
pub(crate) struct Manners {
    pub(crate) speaks: Speaks,
    /// With it everything is said in TLS.
    pub(crate) tls: Option<Arc<Tls>>,
    /// Connections at a time.
    pub(crate) connections: usize,
    /// How long a client may take for a head, or to take a piece of an answer.
    pub(crate) patience: Duration,
}

impl Manners {
    pub(crate) fn new(speaks: Speaks, tls: Option<Arc<Tls>>, settings: &ServeSettings) -> Self {
        Self {
            speaks,
            tls,
            connections: settings.connections,
            patience: settings.patience,
        }
    }
}

/// A door that connections come in by. Dropping it cuts them all.
#[derive(Debug)]
pub(crate) struct Door {
    listening: Listening,
    close: Option<oneshot::Sender<Instant>>,
    accepting: JoinHandle<()>,
}

impl Door {
    /// Lets connections in.
    pub(crate) fn open(
        listener: Listener,
        routes: Router,
        manners: Manners,
    ) -> Result<Self, GatewayError> {
        let listening = listener.listening()?;
        let (close, closing) = oneshot::channel();
        let accepting = Handle::current().spawn(accept(listener, routes, manners, closing));
        Ok(Self {
            listening,
            close: Some(close),
            accepting,
        })
    }

    /// Its TCP address, if it has one.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &self.listening {
            Listening::Tcp(address) => Some(*address),
            Listening::Unix(_) => None,
        }
    }

    /// Lets nobody in any more, waits until then for those who are in, and cuts off the others. What
    /// they held is given back by the end.
    pub(crate) async fn close(mut self, deadline: Instant) {
        if let Some(close) = self.close.take()
            && close.send(deadline).is_ok()
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
    listener: Listener,
    routes: Router,
    manners: Manners,
    mut closing: oneshot::Receiver<Instant>,
) {
    let graceful = GracefulShutdown::new();
    // Dropped with this task, and every connection with it.
    let mut connections = JoinSet::new();
    let deadline = loop {
        let incoming = tokio::select! {
            // Without a word the door itself is gone, and this task with it.
            deadline = &mut closing => break deadline.unwrap_or_else(|_| Instant::now()),
            // A connection that has ended makes room; how it ended it has told itself.
            Some(_) = connections.join_next() => continue,
            incoming = listener.accept() => incoming,
        };
        let Some(incoming) = incoming else { continue };
        if connections.len() >= manners.connections {
            turn_away(&incoming, &manners);
            continue;
        }
        let connection = Connection::new(&routes, &manners, incoming.peer());
        let watcher = graceful.watcher();
        connections.spawn(connection.serve(incoming, watcher));
    };
    drop(listener);
    if tokio::time::timeout_at(deadline.into(), graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were still in flight when the time to finish them was over");
    }
    connections.shutdown().await;
}

/// Says no to a client for whom there is no room, if that can be said at once.
fn turn_away(incoming: &Incoming, manners: &Manners) {
    const NO: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\
        Content-Type: application/json\r\nContent-Length: 90\r\nConnection: close\r\n\r\n\
        {\"error\":{\"code\":503,\"message\":\"too many connections are open\",\"type\":\"overloaded_error\"}}";
    tracing::debug!("a connection is turned away: there are too many");
    if manners.tls.is_none() && manners.speaks == Speaks::Http1 {
        incoming.try_write(NO);
    }
}
