//! The gateway as its clients meet it, in front of the real `llama-server`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chaos;
mod ending;
mod enduring;
mod fleet;
mod guarding;
mod interface;
mod letters;
mod passing;
mod receiving;
mod sink;
mod wire;

use llamatelemetry::{Discard, LoadOptions, Sink};
use llamatelemetry_gateway::{Gateway, ServePlan};
use llamatelemetry_testbed as testbed;
use std::sync::Arc;

/// A gateway in front of the test model, on a port of its own.
pub(crate) async fn gateway() -> Gateway {
    gateway_into(Arc::new(Discard)).await
}

/// The same, with a place for records.
pub(crate) async fn gateway_into(sink: Arc<dyn Sink>) -> Gateway {
    testbed::runtime();
    testbed::smollm2();
    let mut settings = testbed::settings();
    settings.serve.port = 0;
    settings.serve.otlp_http = 0;
    settings.serve.otlp_grpc = 0;
    settings.server.context = Some(1024);
    settings.server.parallel = Some(2);
    let plan = ServePlan {
        models: vec!["smollm2".into()],
        options: LoadOptions::new(settings).with_sink(sink),
        telemetry: None,
    };
    Gateway::start(plan).await.unwrap()
}
