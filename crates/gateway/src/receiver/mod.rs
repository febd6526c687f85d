//! OTLP from other programs, over HTTP and gRPC, into the store.
//!
//! ```text
//! http ─┐
//!       ├─▶ intake: bytes within limits ─▶ thread: unpack, check ─▶ store ─▶ answer after the sync
//! grpc ─┘
//! ```

mod failure;
mod grpc;
mod http;
mod intake;

use crate::door::{Door, Listener, Manners, Speaks};
use crate::guard;
use crate::stored::Stored;
use crate::{GatewayError, Shared};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use intake::Intake;
use llamatelemetry_settings::ServeSettings;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// The doors that OTLP comes in by.
#[derive(Debug)]
pub(crate) struct Receiver {
    http: Option<Door>,
    grpc: Option<Door>,
    stored: Arc<Stored>,
    notices: Vec<String>,
}

impl Receiver {
    /// Listens at the ports of the settings. One that is taken is told in [`notices`](Self::notices):
    /// often a collector listens there, and that is no reason not to serve.
    /// `None` where nothing is to be stored.
    pub(crate) async fn start(settings: &ServeSettings, shared: &Arc<Shared>) -> Option<Self> {
        let stored = shared.stored.clone()?;
        let limit = usize::try_from(settings.otlp_body_limit.0).unwrap_or(usize::MAX);
        let intake = Arc::new(Intake::new(stored.clone(), limit));
        let mut notices = Vec::new();
        let mut open = async |what: &str, port, routes: Router, speaks| {
            let address = SocketAddr::new(settings.host, port);
            let public = !address.ip().is_loopback() && !shared.guard.has_keys();
            let opened = match Listener::tcp(address).await {
                // A gateway behind a socket needs no key; this door would.
                Ok(_) if public => Err(GatewayError::PublicWithoutKey { address }),
                Ok(listener) => {
                    let guard = middleware::from_fn_with_state(shared.clone(), guard::check);
                    let routes = routes.layer(middleware::from_fn(refuse_pages)).layer(guard);
                    Door::open(listener, routes, Manners::new(speaks, None, settings))
                }
                Err(error) => Err(error),
            };
            opened
                .map_err(|error| {
                    notices.push(format!("OTLP over {what} is not received: {error}"));
                })
                .ok()
        };
        let http = open(
            "HTTP",
            settings.otlp_http,
            http::routes(intake.clone()),
            Speaks::Http1,
        )
        .await;
        let grpc = open(
            "gRPC",
            settings.otlp_grpc,
            grpc::routes(intake),
            Speaks::Http2,
        )
        .await;
        Some(Self {
            http,
            grpc,
            stored,
            notices,
        })
    }

    /// Where OTLP over HTTP is taken.
    pub(crate) fn http(&self) -> Option<SocketAddr> {
        self.http.as_ref().and_then(Door::address)
    }

    /// Where OTLP over gRPC is taken.
    pub(crate) fn grpc(&self) -> Option<SocketAddr> {
        self.grpc.as_ref().and_then(Door::address)
    }

    /// What is not received, and why.
    pub(crate) fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Takes nothing more, waits until then for what is under way, and closes the store.
    pub(crate) async fn close(self, deadline: Instant) {
        let http = async {
            if let Some(door) = self.http {
                door.close(deadline).await;
            }
        };
        let grpc = async {
            if let Some(door) = self.grpc {
                door.close(deadline).await;
            }
        };
        tokio::join!(http, grpc);
        let stored = self.stored;
        let closing = tokio::runtime::Handle::current().spawn_blocking(move || stored.close());
        // A panic in it has nothing to say here.
        drop(closing.await);
    }
}

/// Programs send no `Origin`; a web page does, and none may write into the store of this machine.
async fn refuse_pages(request: Request, next: Next) -> Response {
    if request.headers().contains_key(::http::header::ORIGIN) {
        let told = "telemetry is not taken from web pages\n";
        return (::http::StatusCode::FORBIDDEN, told).into_response();
    }
    next.run(request).await
}
