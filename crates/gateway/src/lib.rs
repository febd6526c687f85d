//! The HTTP front of running models.
//!
//! A [`Gateway`] listens, knows the models of its [`Fleet`](fleet::Fleet) and passes every request
//! on to the `llama-server` that serves the model asked for: original bytes in, original bytes out.
//! What it adds stands beside the bytes: a record of each request for telemetry.
//!
//! ```text
//! door ──▶ route ──▶ proxy ──▶ fleet ──▶ llama-server
//!            │
//!            └─ own endpoints
//! ```

mod door;
mod error;
mod fleet;
mod proxy;
mod refusal;
mod route;

pub use error::GatewayError;

use door::Door;
use fleet::Fleet;
use llamatelemetry::LoadOptions;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What to serve and how.
#[derive(Debug, Clone)]
pub struct ServePlan {
    /// The models, by any name that the SDK takes.
    pub models: Vec<String>,
    /// Settings, progress and sink, as for one model.
    pub options: LoadOptions,
}

/// A running gateway. Dropping it closes the door and stops the models; [`Gateway::drain`] lets
/// requests in flight finish first.
#[derive(Debug)]
pub struct Gateway {
    door: Door,
    fleet: Arc<Fleet>,
}

/// What every request of one gateway has to work with.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) fleet: Arc<Fleet>,
}

impl Gateway {
    /// Listens first, so that a taken port fails at once, then loads the models.
    pub async fn start(plan: ServePlan) -> Result<Self, GatewayError> {
        let serve = &plan.options.settings.serve;
        let listener = Door::bind(SocketAddr::new(serve.host, serve.port)).await?;
        let fleet = Arc::new(Fleet::start(&plan.models, &plan.options).await?);
        let shared = Arc::new(Shared {
            fleet: fleet.clone(),
        });
        let door = Door::open(listener, route::routes(shared))?;
        Ok(Self { door, fleet })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// Takes no new requests, waits at most so long for those in flight, then stops the models.
    pub async fn drain(self, limit: Duration) {
        self.door.close(limit).await;
        self.fleet.stop().await;
    }
}
