//! What a request asks for, read from a copy of its body: its model, and what its record tells.

use super::headers;
use crate::Shared;
use axum::extract::Query;
use http::{HeaderMap, Uri};
use llamatelemetry::Asked;
use llamatelemetry_record::{Endpoint, Incoming, OutputType, RequestParameters};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// The header by which llama-server's own clients name a conversation.
const CONVERSATION: &str = "x-conversation-id";

/// What a body asks for, in the words of all APIs; the rest of it is not looked at. A body that is
/// no such thing asks for nothing: what is wrong with it is for the server to say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Question<'a> {
    #[serde(borrow)]
    pub(crate) model: Option<Cow<'a, str>>,
    temperature: Lenient<f64>,
    top_p: Lenient<f64>,
    top_k: Lenient<i64>,
    seed: Lenient<i64>,
    n: Lenient<u64>,
    max_tokens: Lenient<u64>,
    max_completion_tokens: Lenient<u64>,
    max_output_tokens: Lenient<u64>,
    n_predict: Lenient<i64>,
    stop: Lenient<Texts>,
    stop_sequences: Lenient<Texts>,
    response_format: Lenient<Format>,
    text: Lenient<TextFormat>,
    json_schema: Option<IgnoredAny>,
}

/// A value, or something else in its place, which counts as none.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Lenient<T> {
    Value(T),
    Other(IgnoredAny),
    #[default]
    #[serde(skip)]
    Missing,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Deserialize)]
struct TextFormat {
    format: Format,
}

impl<T> Lenient<T> {
    fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Other(_) | Self::Missing => None,
        }
    }
}

impl<'a> Question<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// What the record tells of it.
    pub(crate) fn asked(
        self,
        head: &HeaderMap,
        body: &[u8],
        endpoint: Endpoint,
        shared: &Shared,
    ) -> Asked {
        let Incoming {
            parent,
            state,
            baggage,
        } = headers::incoming(head);
        let conversation = head.get(CONVERSATION).and_then(|id| id.to_str().ok());
        let content = shared.records.content;
        Asked {
            model: self.model.as_deref().map(str::to_owned),
            parent,
            trace_state: state,
            baggage,
            parameters: self.parameters(),
            conversation_id: conversation.map(str::to_owned),
            retries_of: Vec::new(),
            prompt_bytes: Some(body.len() as u64),
            content: content.then(|| super::content::input(endpoint, body)),
        }
    }

    fn parameters(self) -> RequestParameters {
        let json = self.json_schema.is_some();
        let format = self.response_format.value().map(|format| format.kind);
        let format = format.or_else(|| self.text.value().map(|text| text.format.kind));
        let output = match format.as_deref() {
            Some("json_object" | "json_schema") => Some(OutputType::Json),
            Some("text") => Some(OutputType::Text),
            _ => json.then_some(OutputType::Json),
        };
        let predict = self.n_predict.value();
        RequestParameters {
            temperature: self.temperature.value(),
            top_p: self.top_p.value(),
            top_k: self.top_k.value(),
            max_tokens: (self.max_tokens.value())
                .or(self.max_completion_tokens.value())
                .or(self.max_output_tokens.value())
                // Less than nothing means without a limit.
                .or(predict.and_then(|limit| u64::try_from(limit).ok())),
            seed: self.seed.value(),
            stop: match self.stop.value().or(self.stop_sequences.value()) {
                Some(Texts::One(text)) => vec![text],
                Some(Texts::Many(texts)) => texts,
                None => Vec::new(),
            },
            choices: self.n.value(),
            output,
        }
    }
}

/// The model that a query names.
pub(super) fn model_in_query(uri: &Uri) -> Option<Cow<'static, str>> {
    #[derive(Deserialize)]
    struct Named {
        model: Option<String>,
    }
    let Query(named) = Query::<Named>::try_from_uri(uri).ok()?;
    let model = named.model.filter(|model| !model.is_empty());
    model.map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_a_model_too() {
        let named = |uri| model_in_query(&Uri::from_static(uri));
        assert_eq!(named("/props?model=a%2Fb").as_deref(), Some("a/b"));
        assert_eq!(named("/slots?x=1&model=b").as_deref(), Some("b"));
        for none in ["/slots", "/slots?model=", "/slots?models=a"] {
            assert_eq!(named(none), None, "{none}");
        }
    }

    #[test]
    fn every_api_says_it_in_its_own_words() {
        let read = |body: &'static str| {
            let question = Question::read(body.as_bytes());
            let model = question.model.as_deref().map(str::to_owned);
            (model, question.parameters())
        };
        let (model, asked) = read(
            r#"{"model":"a\"b","messages":[{"role":"user","content":"x"}],"temperature":0.5,
                "max_tokens":null,"max_completion_tokens":7,"stop":"END","n":2,"seed":-1,
                "response_format":{"type":"json_schema","json_schema":{}}}"#,
        );
        assert_eq!(model.as_deref(), Some("a\"b"));
        assert_eq!(asked.max_tokens, Some(7));
        assert_eq!(asked.stop, ["END"]);
        assert_eq!((asked.choices, asked.seed), (Some(2), Some(-1)));
        assert_eq!(asked.output, Some(OutputType::Json));
        let (model, asked) =
            read(r#"{"prompt":"x","n_predict":-1,"temperature":"hot","top_k":40}"#);
        assert_eq!((model, asked.max_tokens), (None, None));
        assert_eq!((asked.temperature, asked.top_k), (None, Some(40)));
        let (_, asked) = read(r#"{"max_output_tokens":9,"text":{"format":{"type":"text"}}}"#);
        assert_eq!(asked.max_tokens, Some(9));
        assert_eq!(asked.output, Some(OutputType::Text));
        assert_eq!(read("[1").1, RequestParameters::default());
    }
}
