//! The engine on the real llama-server and a real model.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod failures;
mod timed;

use llamatelemetry::settings::Settings;
use llamatelemetry::{GenerateOptions, InferenceEngine, LoadOptions, RequestRecord, Sink};
use std::sync::{Arc, Mutex};

/// Keeps every record.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Vec<Arc<RequestRecord>>>);

impl Sink for Kept {
    fn record(&self, record: Arc<RequestRecord>) {
        self.0.lock().unwrap().push(record);
    }
}

impl Kept {
    pub(crate) fn records(&self) -> Vec<Arc<RequestRecord>> {
        self.0.lock().unwrap().clone()
    }
}

/// An engine on the test home's runtime with the small model.
pub(crate) async fn engine() -> (InferenceEngine, Arc<Kept>) {
    engine_with(|_| ()).await
}

/// The same with other settings.
pub(crate) async fn engine_with(
    change: impl FnOnce(&mut Settings),
) -> (InferenceEngine, Arc<Kept>) {
    llamatelemetry_testbed::runtime();
    llamatelemetry_testbed::smollm2();
    let kept = Arc::new(Kept::default());
    let mut settings = llamatelemetry_testbed::settings();
    change(&mut settings);
    let options = LoadOptions::new(settings).with_sink(kept.clone());
    (
        InferenceEngine::load_model("smollm2", options)
            .await
            .unwrap(),
        kept,
    )
}

/// Runs a test's async body on a runtime of its own.
pub(crate) fn run(body: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(body);
}

/// The likeliest token each time, at most so many.
pub(crate) fn greedy(max_tokens: u64) -> GenerateOptions {
    GenerateOptions {
        max_tokens: Some(max_tokens),
        temperature: Some(0.0),
        ..GenerateOptions::default()
    }
}
