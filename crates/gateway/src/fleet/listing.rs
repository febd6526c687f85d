//! `/v1/models`: all models, loaded or not, in OpenAI's form with llama-server's own fields.

use super::Fleet;
use super::member::{Member, Phase};
use super::progress::LoadState;
use crate::{Shared, proxy};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::Request;
use llamatelemetry::LiveServer;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Instant;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/models", get(list))
        .route("/models", get(list))
}

/// Where only a foreign server has models, its list is the answer.
async fn list(state: State<Arc<Shared>>, request: Request<Body>) -> Response {
    let models = state.fleet.models();
    if models.is_empty() && state.upstream.is_some() {
        return proxy::forward(state, request).await;
    }
    // Beside OpenAI's list stands the one that llama-server makes for Ollama's clients.
    let others: Vec<&Value> = models
        .iter()
        .filter_map(|model| model.listed.as_ref())
        .collect();
    let data: Vec<Value> = models.iter().map(ModelView::entry).collect();
    Json(json!({ "object": "list", "data": data, "models": others })).into_response()
}

/// One model, as whoever asks sees it.
#[derive(Debug, Clone)]
pub(crate) struct ModelView {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) pinned: bool,
    pub(crate) state: ModelState,
    /// Requests that use it now.
    pub(crate) in_flight: usize,
    /// Requests that wait for it.
    pub(crate) waiting: usize,
    /// Bytes that it takes, if it is loaded and was measured.
    pub(crate) memory_bytes: Option<u64>,
    /// Its servers' process ids.
    pub(crate) pids: Vec<u32>,
    /// Seconds until it is unloaded if nobody asks it.
    pub(crate) expires_s: Option<f64>,
    /// What was given up to find memory.
    pub(crate) given_up: Vec<String>,
    /// The server's own entry in OpenAI's list.
    pub(crate) entry: Option<Value>,
    /// The server's own entry in Ollama's list.
    pub(crate) listed: Option<Value>,
}

/// What a model does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum ModelState {
    Unloaded,
    Loading { load: LoadState },
    Ready,
    Unloading,
    Failed { reason: String, retry_after_s: f64 },
}

impl ModelState {
    /// Its name: `ready`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Unloaded => "unloaded",
            Self::Loading { .. } => "loading",
            Self::Ready => "ready",
            Self::Unloading => "unloading",
            Self::Failed { .. } => "failed",
        }
    }
}

impl Fleet {
    /// All models, in the order in which they were named.
    pub(crate) fn models(&self) -> Vec<ModelView> {
        let state = self.lock();
        state.members.iter().map(ModelView::of).collect()
    }
}

impl Fleet {
    /// A run that can be asked of the model that is served, where it is the only one. No lease: it
    /// may go at any time, and asking it does not keep it.
    pub(crate) fn only_run(&self) -> Option<Arc<LiveServer>> {
        let state = self.lock();
        match state.members.as_slice() {
            [
                Member {
                    phase: Phase::Ready(ready),
                    ..
                },
            ] => ready.replicas.iter().find_map(|replica| replica.run()),
            _ => None,
        }
    }
}

impl ModelView {
    fn of(member: &Member) -> Self {
        let now = Instant::now();
        let state = match &member.phase {
            Phase::Unloaded => ModelState::Unloaded,
            Phase::Loading(loading) => ModelState::Loading {
                load: loading.progress.state(),
            },
            Phase::Ready(_) => ModelState::Ready,
            Phase::Unloading { .. } => ModelState::Unloading,
            Phase::Failed { reason, until } => ModelState::Failed {
                reason: reason.clone(),
                retry_after_s: until.saturating_duration_since(now).as_secs_f64(),
            },
        };
        let ready = match &member.phase {
            Phase::Ready(ready) => Some(ready),
            _ => None,
        };
        let own = |list: &str| ready.and_then(|ready| ready.told.get(list)?.get(0).cloned());
        let runs = ready.into_iter().flat_map(|ready| &ready.replicas);
        Self {
            name: member.plan.name.clone(),
            aliases: member.plan.aliases.clone(),
            pinned: member.plan.pin,
            state,
            in_flight: member.in_flight,
            waiting: member.waiting,
            memory_bytes: member.measured.filter(|_| ready.is_some()),
            pids: runs
                .filter_map(|replica| Some(replica.run()?.process().pid()))
                .collect(),
            expires_s: member
                .expires()
                .map(|due| due.saturating_duration_since(now).as_secs_f64()),
            given_up: ready
                .map(|ready| ready.given_up.clone())
                .unwrap_or_default(),
            entry: own("data"),
            listed: own("models"),
        }
    }

    /// Its entry in OpenAI's list: the server's own where it runs, and what is known of it here.
    fn entry(&self) -> Value {
        let mut entry = match &self.entry {
            Some(Value::Object(own)) => own.clone(),
            _ => Map::new(),
        };
        entry.insert("id".into(), json!(self.name));
        entry.entry("object").or_insert_with(|| json!("model"));
        entry.entry("owned_by").or_insert_with(|| json!("llamacpp"));
        entry.entry("created").or_insert(json!(0));
        entry.insert("aliases".into(), json!(self.aliases));
        entry.insert("status".into(), self.status());
        if let Ok(Value::Object(state)) = serde_json::to_value(&self.state) {
            entry.extend(state);
        }
        entry.insert("pinned".into(), json!(self.pinned));
        entry.insert("in_flight".into(), json!(self.in_flight));
        entry.insert("waiting".into(), json!(self.waiting));
        entry.insert("pids".into(), json!(self.pids));
        entry.insert("memory_bytes".into(), json!(self.memory_bytes));
        entry.insert("expires_s".into(), json!(self.expires_s));
        if !self.given_up.is_empty() {
            entry.insert("given_up".into(), json!(self.given_up));
        }
        Value::Object(entry)
    }

    /// The state in the words of llama-server's own router.
    fn status(&self) -> Value {
        match &self.state {
            ModelState::Unloaded => json!({ "value": "unloaded" }),
            ModelState::Loading { .. } => json!({ "value": "loading" }),
            ModelState::Ready | ModelState::Unloading => json!({ "value": "loaded" }),
            ModelState::Failed { .. } => json!({ "value": "unloaded", "failed": true }),
        }
    }
}
