//! The engine on the real llama-server and a real model.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod canary;
mod causes;
mod failures;
mod log;
mod marks;
mod metrics;
mod timed;
mod tools;

use llamatelemetry::settings::Settings;
use llamatelemetry::{GenerateOptions, InferenceEngine, LoadOptions, RequestRecord, Sink};
use llamatelemetry_record::{Energy, Happening, LiveRequest, LoggedLine};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// Keeps everything that a sink gets.
#[derive(Default)]
pub(crate) struct Kept {
    records: Mutex<Vec<Arc<RequestRecord>>>,
    live: Mutex<Vec<Arc<LiveRequest>>>,
    happenings: Mutex<Vec<Happening>>,
    lines: Mutex<Vec<LoggedLine>>,
    /// What is said of each request's energy.
    energy: Mutex<Option<Energy>>,
}

impl Sink for Kept {
    fn record(&self, record: Arc<RequestRecord>) {
        self.records.lock().unwrap().push(record);
    }

    fn started(&self, live: &Arc<LiveRequest>) {
        self.live.lock().unwrap().push(live.clone());
    }

    fn happened(&self, happening: Happening) {
        self.happenings.lock().unwrap().push(happening);
    }

    fn logged(&self, line: LoggedLine) {
        self.lines.lock().unwrap().push(line);
    }

    fn energy(&self, _record: &RequestRecord) -> Option<Energy> {
        *self.energy.lock().unwrap()
    }
}

impl Kept {
    pub(crate) fn records(&self) -> Vec<Arc<RequestRecord>> {
        self.records.lock().unwrap().clone()
    }

    pub(crate) fn live(&self) -> Vec<Arc<LiveRequest>> {
        self.live.lock().unwrap().clone()
    }

    pub(crate) fn happenings(&self) -> Vec<Happening> {
        self.happenings.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<LoggedLine> {
        self.lines.lock().unwrap().clone()
    }

    pub(crate) fn measures(&self, energy: Energy) {
        *self.energy.lock().unwrap() = Some(energy);
    }
}

/// Kills the engine's server as an accident would.
pub(crate) async fn kill_server(engine: &InferenceEngine) {
    let live = engine.server().live().await.unwrap();
    let pid = live.process().pid().to_string();
    let killed = Command::new("kill").args(["-KILL", &pid]).status();
    assert!(killed.unwrap().success());
}

/// An engine on the test home's runtime with the small model.
pub(crate) async fn engine() -> (InferenceEngine, Arc<Kept>) {
    engine_with(|_| ()).await
}

/// The same with other settings.
pub(crate) async fn engine_with(
    change: impl FnOnce(&mut Settings),
) -> (InferenceEngine, Arc<Kept>) {
    llamatelemetry_testbed::smollm2();
    engine_of("smollm2", change).await
}

/// The same with another model.
pub(crate) async fn engine_of(
    model: &str,
    change: impl FnOnce(&mut Settings),
) -> (InferenceEngine, Arc<Kept>) {
    llamatelemetry_testbed::runtime();
    let kept = Arc::new(Kept::default());
    let mut settings = llamatelemetry_testbed::settings();
    change(&mut settings);
    let options = LoadOptions::new(settings).with_sink(kept.clone());
    let engine = InferenceEngine::load_model(model, options).await.unwrap();
    (engine, kept)
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
