//! Models that are told apart by what they answer, and a gateway in front of them.

use llamatelemetry::{LoadOptions, RequestRecord, Sink};
use llamatelemetry_api::{Address, Client};
use llamatelemetry_gateway::{Gateway, ServePlan};
use llamatelemetry_gguf::letters_model;
use llamatelemetry_record::{Happening, LiveRequest};
use llamatelemetry_settings::{ServedModel, Settings};
use llamatelemetry_testbed as testbed;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Keeps everything that a sink gets, and hands it on.
#[derive(Default)]
pub(crate) struct Kept {
    records: Mutex<Vec<Arc<RequestRecord>>>,
    happenings: Mutex<Vec<Happening>>,
    next: Option<Arc<dyn Sink>>,
}

impl Sink for Kept {
    fn record(&self, record: Arc<RequestRecord>) {
        self.records.lock().unwrap().push(record.clone());
        if let Some(next) = &self.next {
            next.record(record);
        }
    }

    fn happened(&self, happening: Happening) {
        self.happenings.lock().unwrap().push(happening.clone());
        if let Some(next) = &self.next {
            next.happened(happening);
        }
    }

    fn started(&self, live: &Arc<LiveRequest>) {
        if let Some(next) = &self.next {
            next.started(live);
        }
    }
}

impl Kept {
    /// Hands everything on to this one.
    pub(crate) fn before(next: Arc<dyn Sink>) -> Self {
        Self {
            next: Some(next),
            ..Self::default()
        }
    }

    pub(crate) fn records(&self) -> Vec<Arc<RequestRecord>> {
        self.records.lock().unwrap().clone()
    }

    /// So many records, once they are there: some wait a moment for a line of the server's log.
    pub(crate) async fn await_records(&self, count: usize) -> Vec<Arc<RequestRecord>> {
        let begun = std::time::Instant::now();
        loop {
            let records = self.records();
            if records.len() >= count || begun.elapsed().as_secs() > 5 {
                assert_eq!(records.len(), count);
                return records;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn happenings(&self) -> Vec<Happening> {
        self.happenings.lock().unwrap().clone()
    }
}

/// Settings for a gateway of its own, with small servers.
pub(crate) fn settings() -> Settings {
    let runtime = testbed::runtime();
    let mut settings = testbed::settings();
    settings.runtime.server_path = Some(runtime.server);
    settings.serve.port = 0;
    settings.serve.otlp_http = 0;
    settings.serve.otlp_grpc = 0;
    settings.telemetry.store = false;
    settings.server.context = Some(2048);
    settings.server.parallel = Some(2);
    settings
}

/// Adds the model that says the letter so many places later, and returns its name.
pub(crate) fn add_model(settings: &mut Settings, folder: &Path, places: usize) -> String {
    let file = folder.join(format!("letters-{places}.gguf"));
    std::fs::write(&file, letters_model(places)).unwrap();
    let name = format!("letters-{places}");
    let model = ServedModel {
        model: Some(file.to_string_lossy().into_owned()),
        ..ServedModel::default()
    };
    settings.serve.models.insert(name.clone(), model);
    name
}

pub(crate) async fn start(settings: Settings, sink: &Arc<Kept>) -> Gateway {
    let plan = ServePlan {
        models: Vec::new(),
        options: LoadOptions::new(settings).with_sink(sink.clone()),
        telemetry: None,
    };
    Gateway::start(plan).await.unwrap()
}

pub(crate) fn client(gateway: &Gateway) -> Client {
    Client::new(Address::Tcp(gateway.address()), None)
}

/// What the model of so many places says after a letter.
pub(crate) fn expected(places: usize, after: char, tokens: usize) -> String {
    let first = after as usize - 'a' as usize;
    let letter = |step: usize| (first + places * step) % 26;
    (1..=tokens)
        .map(|step| char::from(b'a' + u8::try_from(letter(step)).unwrap()))
        .collect()
}

/// A completion of one letter, as OpenAI's clients ask for it.
pub(crate) fn question(model: &str, after: char, tokens: usize, stream: bool) -> Value {
    json!({
        "model": model,
        "prompt": after.to_string(),
        "max_tokens": tokens,
        "temperature": 0,
        "stream": stream,
    })
}

/// Asks for so many letters after one.
pub(crate) async fn ask(client: &Client, model: &str, after: char, tokens: usize) -> String {
    let body = question(model, after, tokens, false);
    let answer = client
        .call(http::Method::POST, "/v1/completions", Some(&body))
        .await
        .unwrap();
    answer["choices"][0]["text"].as_str().unwrap().to_owned()
}

/// The gateway's entry of each model.
pub(crate) async fn models(client: &Client) -> Vec<Value> {
    let list = client
        .call(http::Method::GET, "/v1/models", None)
        .await
        .unwrap();
    assert_eq!(list["object"], "list");
    list["data"].as_array().unwrap().clone()
}

/// Waits until the models are as asked for.
pub(crate) async fn until(client: &Client, what: &str, mut is: impl FnMut(&[Value]) -> bool) {
    let begun = std::time::Instant::now();
    loop {
        let models = models(client).await;
        if is(&models) {
            return;
        }
        let waited = begun.elapsed();
        assert!(waited.as_secs() < 20, "not seen: {what}: {models:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
