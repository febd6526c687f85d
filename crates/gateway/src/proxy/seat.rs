//! Who is to answer a request: a server of ours, leased, or one that we did not start.

use crate::fleet::Lease;
use crate::upstream::Upstream;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use llamatelemetry::Exchange;
use llamatelemetry::server::Exit;
use llamatelemetry_api::transport::Sent;
use llamatelemetry_api::{ApiError, Client};
use llamatelemetry_record::PhaseClock;
use std::pin::Pin;
use std::sync::Arc;

/// Ends once a request is lost.
pub(super) type Lost = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Who is to answer a request.
#[derive(Debug)]
pub(super) enum Seat {
    /// A server of ours. It is not unloaded meanwhile.
    Ours(Lease),
    /// A server that we did not start.
    Foreign(Arc<Upstream>),
}

impl Seat {
    pub(super) fn client(&self) -> &Client {
        match self {
            Self::Ours(lease) => lease.run().client(),
            Self::Foreign(upstream) => upstream.client(),
        }
    }

    /// The exchange is being sent there now.
    pub(super) fn begin(&self, exchange: &mut Exchange) -> PhaseClock {
        match self {
            Self::Ours(lease) => {
                exchange.served_by(lease.server());
                exchange.sent_to(lease.run())
            }
            Self::Foreign(upstream) => exchange.sent_elsewhere(upstream.client().address().clone()),
        }
    }

    /// Something came of the request.
    pub(super) fn progressed(&self) {
        if let Self::Ours(lease) = self {
            lease.progressed();
        }
    }

    /// Ends once our server has lost the request; of others that is never known.
    pub(super) fn lost(&self) -> Lost {
        match self {
            Self::Ours(lease) => Box::pin(lease.lost()),
            Self::Foreign(_) => Box::pin(std::future::pending()),
        }
    }

    /// Sends a request there and waits for the head of its answer. One that the server lost is as
    /// good as broken off.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Sent, ApiError> {
        let path = request.uri().path().to_owned();
        let sent = tokio::select! {
            biased;
            sent = self.client().pool().send(request) => sent?,
            () = self.lost() => return Err(ApiError::Broken { path, source: None }),
        };
        self.progressed();
        Ok(sent)
    }

    /// Makes a request one for this server.
    pub(super) fn address<B>(&self, request: &mut Request<B>) {
        self.client().authorize(request.headers_mut());
        if let Self::Foreign(upstream) = self {
            upstream.address(request);
        }
    }

    /// How the server ended, if it did and that is known.
    pub(super) fn exit(&self) -> Option<Exit> {
        match self {
            Self::Ours(lease) => lease.run().process().exit(),
            Self::Foreign(_) => None,
        }
    }
}
