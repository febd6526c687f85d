//! OpenInference's attributes of a span that was made in the latest names.

use super::messages::{self, Message};
use crate::value::{IntoValue, Shown, find, key_value};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// What a span is in OpenInference's eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Llm,
    Embedding,
    Reranker,
    Retriever,
    Tool,
    Agent,
    Chain,
}

impl Kind {
    fn of(operation: &str) -> Self {
        match operation {
            "chat" | "text_completion" | "generate_content" => Self::Llm,
            "embeddings" => Self::Embedding,
            "rerank" => Self::Reranker,
            "retrieval" => Self::Retriever,
            "execute_tool" => Self::Tool,
            "invoke_agent" | "create_agent" => Self::Agent,
            _ => Self::Chain,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Llm => "LLM",
            Self::Embedding => "EMBEDDING",
            Self::Reranker => "RERANKER",
            Self::Retriever => "RETRIEVER",
            Self::Tool => "TOOL",
            Self::Agent => "AGENT",
            Self::Chain => "CHAIN",
        }
    }
}

/// The span's attributes, and those made from them.
struct Attributes<'a> {
    from: &'a [KeyValue],
    made: Vec<KeyValue>,
}

impl Attributes<'_> {
    fn text(&self, key: &str) -> Option<&str> {
        match find(self.from, key) {
            Some(Value::StringValue(text)) => Some(text),
            _ => None,
        }
    }

    fn count(&self, key: &str) -> Option<i64> {
        match find(self.from, key) {
            Some(Value::IntValue(count)) => Some(*count),
            _ => None,
        }
    }

    fn set(&mut self, key: impl Into<String>, value: Option<impl IntoValue>) {
        if let Some(value) = value {
            self.made.push(key_value(key, value));
        }
    }

    /// Sets what stands as text under another name.
    fn copy(&mut self, key: &str, from: &str) {
        let text = self.text(from).map(str::to_owned);
        self.set(key, text);
    }

    fn copy_count(&mut self, key: &str, from: &str) {
        self.set(key, self.count(from));
    }
}

/// What OpenInference adds.
pub(super) fn attributes(span: &Span) -> Vec<KeyValue> {
    let mut all = Attributes {
        from: &span.attributes,
        made: Vec::new(),
    };
    let operation = all.text("gen_ai.operation.name").unwrap_or_default();
    let kind = Kind::of(operation);
    all.set("openinference.span.kind", Some(kind.as_str()));
    all.copy("session.id", "gen_ai.conversation.id");
    match kind {
        Kind::Llm => llm(&mut all),
        Kind::Embedding => {
            model(&mut all, "embedding.model_name");
            parameters(&mut all, "embedding.invocation_parameters");
            tokens(&mut all);
            input(&mut all);
        }
        Kind::Reranker => {
            model(&mut all, "reranker.model_name");
            input(&mut all);
        }
        Kind::Tool => tool(&mut all),
        Kind::Agent => all.copy("agent.name", "gen_ai.agent.name"),
        Kind::Retriever => all.copy("input.value", "gen_ai.retrieval.query.text"),
        Kind::Chain => {}
    }
    all.made
}

fn llm(all: &mut Attributes<'_>) {
    model(all, "llm.model_name");
    all.copy("llm.request.model_name", "gen_ai.request.model");
    all.copy("llm.response.model_name", "gen_ai.response.model");
    all.copy("llm.system", "gen_ai.provider.name");
    all.copy("llm.provider", "gen_ai.provider.name");
    parameters(all, "llm.invocation_parameters");
    tokens(all);
    let reason = match find(all.from, "gen_ai.response.finish_reasons") {
        Some(Value::ArrayValue(reasons)) => reasons
            .values
            .first()
            .and_then(|reason| reason.value.as_ref())
            .map(|reason| Shown(reason).to_string()),
        _ => None,
    };
    all.set("llm.finish_reason", reason);
    input(all);
    let output = all.text("gen_ai.output.messages").map(str::to_owned);
    if let Some(json) = output {
        let messages = messages::read(&json);
        flatten(all, "llm.output_messages", &messages);
        // An answer that is text and nothing else is shown as text.
        match messages.as_slice() {
            [only] if only.tool_calls.is_empty() && only.texts.len() == 1 => {
                all.set("output.value", Some(only.texts[0].clone()));
                all.set("output.mime_type", Some(TEXT));
            }
            _ => {
                all.set("output.value", Some(json));
                all.set("output.mime_type", Some(JSON));
            }
        }
    }
    tools(all);
}

/// The tools that the model could call, one attribute each.
fn tools(all: &mut Attributes<'_>) {
    let definitions = all
        .text("gen_ai.tool.definitions")
        .and_then(|json| serde_json::from_str::<Vec<serde_json::Value>>(json).ok());
    for (index, definition) in definitions.into_iter().flatten().enumerate() {
        let key = format!("llm.tools.{index}.tool.json_schema");
        all.set(key, Some(definition.to_string()));
    }
}

/// The model that answered, else the one that was asked.
fn model(all: &mut Attributes<'_>, key: &'static str) {
    let model = all
        .text("gen_ai.response.model")
        .or_else(|| all.text("gen_ai.request.model"))
        .map(str::to_owned);
    all.set(key, model);
}

/// What the caller set, as JSON.
fn parameters(all: &mut Attributes<'_>, key: &'static str) {
    const PREFIX: &str = "gen_ai.request.";
    const NOT_PARAMETERS: &[&str] = &["model", "stream", "stream_cursor"];
    let mut set = serde_json::Map::new();
    for KeyValue { key, value, .. } in all.from {
        let Some(name) = key.strip_prefix(PREFIX) else {
            continue;
        };
        let value = value.as_ref().and_then(|value| value.value.as_ref());
        if let Some(value) = value.and_then(json)
            && !NOT_PARAMETERS.contains(&name)
        {
            set.insert(name.to_owned(), value);
        }
    }
    let text = (!set.is_empty()).then(|| serde_json::Value::Object(set).to_string());
    all.set(key, text);
}

fn json(value: &Value) -> Option<serde_json::Value> {
    Some(match value {
        Value::StringValue(text) => text.as_str().into(),
        Value::BoolValue(yes) => (*yes).into(),
        Value::IntValue(number) => (*number).into(),
        Value::DoubleValue(number) => serde_json::Number::from_f64(*number)?.into(),
        Value::ArrayValue(list) => list
            .values
            .iter()
            .filter_map(|value| json(value.value.as_ref()?))
            .collect(),
        _ => return None,
    })
}

fn tokens(all: &mut Attributes<'_>) {
    all.copy_count("llm.token_count.prompt", "gen_ai.usage.input_tokens");
    all.copy_count("llm.token_count.completion", "gen_ai.usage.output_tokens");
    let total = all
        .count("gen_ai.usage.input_tokens")
        .zip(all.count("gen_ai.usage.output_tokens"))
        .and_then(|(input, output)| input.checked_add(output));
    all.set("llm.token_count.total", total);
    all.copy_count(
        "llm.token_count.prompt_details.cache_read",
        "gen_ai.usage.cache_read.input_tokens",
    );
    all.copy_count(
        "llm.token_count.prompt_details.cache_write",
        "gen_ai.usage.cache_write.input_tokens",
    );
    all.copy_count(
        "llm.token_count.completion_details.reasoning",
        "gen_ai.usage.reasoning.output_tokens",
    );
}

/// What was sent, if it was captured.
fn input(all: &mut Attributes<'_>) {
    let Some(json) = all.text("gen_ai.input.messages").map(str::to_owned) else {
        return;
    };
    flatten(all, "llm.input_messages", &messages::read(&json));
    all.set("input.value", Some(json));
    all.set("input.mime_type", Some(JSON));
}

fn flatten(all: &mut Attributes<'_>, list: &str, messages: &[Message]) {
    for (index, message) in messages.iter().enumerate() {
        let at = format!("{list}.{index}.message");
        all.set(format!("{at}.role"), Some(message.role.clone()));
        match message.texts.as_slice() {
            [] => {}
            [text] => all.set(format!("{at}.content"), Some(text.clone())),
            texts => {
                for (part, text) in texts.iter().enumerate() {
                    let at = format!("{at}.contents.{part}.message_content");
                    all.set(format!("{at}.type"), Some("text"));
                    all.set(format!("{at}.text"), Some(text.clone()));
                }
            }
        }
        all.set(format!("{at}.tool_call_id"), message.tool_call_id.clone());
        for (call, tool) in message.tool_calls.iter().enumerate() {
            let at = format!("{at}.tool_calls.{call}.tool_call");
            all.set(format!("{at}.id"), tool.id.clone());
            all.set(format!("{at}.function.name"), Some(tool.name.clone()));
            all.set(format!("{at}.function.arguments"), tool.arguments.clone());
        }
    }
}

fn tool(all: &mut Attributes<'_>) {
    all.copy("tool.name", "gen_ai.tool.name");
    all.copy("tool.description", "gen_ai.tool.description");
    all.copy("tool.id", "gen_ai.tool.call.id");
    for (key, kind, from) in [
        (
            "input.value",
            "input.mime_type",
            "gen_ai.tool.call.arguments",
        ),
        (
            "output.value",
            "output.mime_type",
            "gen_ai.tool.call.result",
        ),
    ] {
        if let Some(text) = all.text(from).map(str::to_owned) {
            let structured = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            all.set(key, Some(text));
            all.set(kind, Some(if structured { JSON } else { TEXT }));
        }
    }
}
