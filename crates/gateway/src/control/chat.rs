//! Answers for `llt run` and `llt chat`, which need no server of their own then.
//!
//! The answer is made by the SDK's engine over the server that runs, so that its figures are as
//! whole as those of an own one, and its record lies with the gateway's. It comes as lines of JSON:
//! pieces, then the result or an error.

use crate::Shared;
use crate::admission::{Cost, Permit, Work};
use crate::fleet::Lease;
use crate::guard::Principal;
use crate::refusal::Refusal;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use llamatelemetry::{AnswerStream, ChatMessage, GenerateOptions, InferenceEngine};
use llamatelemetry_settings::{ServerSettings, Settings};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

/// What is asked, and of what: another model, build or way to launch it is refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AskChat {
    /// The model, as it was named.
    pub model: String,
    /// Its file.
    pub file: PathBuf,
    /// The `llama-server` that is to serve it.
    pub server: PathBuf,
    /// [`launch_of`] the asker's settings.
    pub launch: String,
    /// What was said so far; nothing asks only whether it would be answered.
    pub messages: Vec<ChatMessage>,
    /// Tokens to generate at most.
    pub max_tokens: Option<u64>,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Random seed.
    pub seed: Option<i64>,
    /// A JSON schema that the answer must satisfy.
    pub json_schema: Option<Value>,
    /// The conversation, for telemetry.
    pub conversation_id: Option<String>,
}

/// A digest of all settings that make a difference to an answer or to what is recorded of it.
pub fn launch_of(settings: &Settings) -> String {
    let server = ServerSettings {
        // Where it listens and how long its start may take is no part of what it answers.
        port: None,
        start_timeout: None,
        ..settings.server.clone()
    };
    let text = format!(
        "{}\n{server:?}\n{:?}",
        env!("CARGO_PKG_VERSION"),
        settings.telemetry
    );
    Sha256::digest(text)
        .iter()
        .fold(String::new(), |mut digits, byte| {
            // Writing to a String cannot fail.
            write!(digits, "{byte:02x}").unwrap_or_default();
            digits
        })
}

pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    Json(ask): Json<AskChat>,
) -> Result<Response, Refusal> {
    let name = shared.fleet.name_of(Some(&ask.model))?;
    if ask.launch != shared.told.launch || shared.told.tables.contains(&name) {
        return Err(other("it is started with other settings"));
    }
    let deadline = shared.admission.deadline(&HeaderMap::new())?;
    if ask.messages.is_empty() {
        fitting(&shared, &name, &ask, deadline).await?;
        let mut yes = Response::new(Body::empty());
        *yes.status_mut() = StatusCode::NO_CONTENT;
        return Ok(yes);
    }
    let said = ask.messages.iter().map(|said| said.content.to_text().len());
    let cost = Cost::of_length(&name, Work::Slot, said.sum());
    let permit = shared
        .admission
        .enter(&Principal::anyone(), cost, deadline)
        .await?;
    let lease = fitting(&shared, &name, &ask, deadline).await?;
    shared.admission.learn_slots(&name, lease.run());
    let records = &shared.records;
    let engine = InferenceEngine::over(
        lease.server().clone(),
        records.sink.clone(),
        records.content,
    );
    let options = GenerateOptions {
        max_tokens: ask.max_tokens,
        temperature: ask.temperature,
        seed: ask.seed,
        json_schema: ask.json_schema,
        conversation_id: ask.conversation_id,
        ..GenerateOptions::default()
    };
    let stream = engine.chat_stream(&ask.messages, &options).await;
    let stream = stream.map_err(|error| {
        Refusal::new(StatusCode::BAD_GATEWAY, "server_error", error.to_string())
    })?;
    let held = (permit, Box::new(lease));
    Ok(Response::new(Body::new(Lines {
        next: Some(Box::pin(line(stream, held))),
    })))
}

/// A lease on the model, if it is what the asker's own server would be.
async fn fitting(
    shared: &Shared,
    name: &str,
    ask: &AskChat,
    deadline: Instant,
) -> Result<Lease, Refusal> {
    let lease = shared.fleet.lease(Some(name), deadline, None).await?;
    if lease.server().model().path != ask.file {
        return Err(other("it serves another file"));
    }
    if lease.server().runtime().server != ask.server {
        return Err(other("it runs another build of llama.cpp"));
    }
    Ok(lease)
}

fn other(why: &str) -> Refusal {
    Refusal::new(StatusCode::CONFLICT, "other_server", why)
}

/// What is kept while an answer runs.
type Held = (Permit, Box<Lease>);
/// A line, and what is needed for the next one, if there is one.
type Step = (Bytes, Option<(AnswerStream, Held)>);

/// The next line of an answer.
async fn line(mut stream: AnswerStream, mut held: Held) -> Step {
    let (line, rest) = match stream.next().await {
        Ok(Some(delta)) => {
            held.1.progressed();
            let line = json!({ "text": delta.text, "reasoning": delta.reasoning });
            (line, Some((stream, held)))
        }
        Ok(None) => {
            let context = stream.trace_context();
            match stream.finish().await {
                Ok(result) => {
                    let usage = &result.usage;
                    if let Some(prompt) = usage.prompt_tokens {
                        let answer = usage.completion_tokens.unwrap_or_default();
                        held.0.used(prompt.saturating_add(answer));
                    }
                    let traceparent = context.to_string();
                    (
                        json!({ "result": result, "traceparent": traceparent }),
                        None,
                    )
                }
                Err(error) => (json!({ "error": error.to_string() }), None),
            }
        }
        Err(error) => (json!({ "error": error.to_string() }), None),
    };
    (Bytes::from(format!("{line}\n")), rest)
}

/// The lines of an answer, each made when the one before was taken. Dropping it cancels the answer.
struct Lines {
    next: Option<Pin<Box<dyn Future<Output = Step> + Send>>>,
}

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(next) = &mut self.next else {
            return Poll::Ready(None);
        };
        let (line, rest) = ready!(next.as_mut().poll(context));
        self.next = rest.map(|(stream, held)| {
            let next: Pin<Box<dyn Future<Output = Step> + Send>> =
                Box::pin(self::line(stream, held));
            next
        });
        Poll::Ready(Some(Ok(Frame::data(line))))
    }
}
