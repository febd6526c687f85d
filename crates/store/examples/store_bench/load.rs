//! Spans as agents and chats send them: about 1,120 bytes each, with texts in which no two are
//! alike; or conversations of 20 calls that send their history again with every call.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use std::path::Path;

/// Spans of a request.
pub(crate) const BATCH: usize = 512;
/// Words of a message.
const WORDS: usize = 60;
/// A trace begins so long after the one before, ns: ten million spans are a month of a busy machine.
pub(crate) const GAP: u64 = 1_000_000_000;

/// An attribute that ten spans of a filled store have, and one that every tenth has.
pub(crate) const RARE: (&str, &str) = ("bench.rare", "needle");
pub(crate) const COMMON: (&str, &str) = ("bench.common", "tenth");

/// Numbers that look random and are the same in every run (Steele, Lea and Flood, `SplitMix`).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What is planted among the spans so that it can be looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planted {
    Nothing,
    /// [`RARE`] and [`COMMON`], in a store of so many spans.
    Among(u64),
}

/// Makes spans.
pub(crate) struct Load {
    words: Vec<String>,
    random: Random,
    calls: u64,
    planted: Planted,
    /// When the first trace begins, ns since 1970.
    began: u64,
    traces: u64,
    spans: u64,
    waiting: std::collections::VecDeque<Span>,
}

/// The id of a trace by its number: ids are known before they are sent.
pub(crate) fn trace_id(number: u64) -> [u8; 16] {
    let mut random = Random(number);
    let (high, low) = (random.next(), random.next());
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

impl Load {
    /// Spans with texts of this file: a JSON list of objects with `content`.
    pub(crate) fn new(texts: &Path, agent: bool, planted: Planted, began: u64) -> Self {
        let essays: Vec<serde_json::Value> =
            serde_json::from_slice(&std::fs::read(texts).unwrap()).unwrap();
        let words = essays
            .iter()
            .flat_map(|essay| essay["content"].as_str().unwrap().split_whitespace())
            .map(str::to_owned)
            .collect();
        Self {
            words,
            random: Random(7),
            calls: if agent { 20 } else { 3 },
            planted,
            began,
            traces: 0,
            spans: 0,
            waiting: std::collections::VecDeque::new(),
        }
    }

    /// The next request, as protobuf.
    pub(crate) fn body(&mut self, spans: usize) -> Vec<u8> {
        while self.waiting.len() < spans {
            self.trace();
        }
        let spans = self.waiting.drain(..spans).collect();
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans,
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        request.encode_to_vec()
    }

    fn text(&mut self) -> String {
        let from = self.random.below(self.words.len() - WORDS);
        let mut words: Vec<&str> = self.words[from..from + WORDS]
            .iter()
            .map(String::as_str)
            .collect();
        let other = self.random.share().to_string();
        let place = self.random.below(WORDS);
        words[place] = &other;
        words.join(" ")
    }

    fn trace(&mut self) {
        let id = trace_id(self.traces).to_vec();
        let start = self.began + self.traces * GAP;
        self.traces += 1;
        let root = self.random.next().to_be_bytes().to_vec();
        let conversation = format!("c{}", self.traces % 1_000);
        self.push(Span {
            trace_id: id.clone(),
            span_id: root.clone(),
            name: "invoke_agent a".to_owned(),
            kind: 1,
            start_time_unix_nano: start,
            end_time_unix_nano: start + 100_000_000,
            attributes: vec![
                text("gen_ai.operation.name", "invoke_agent"),
                text("gen_ai.agent.name", "a"),
                text("gen_ai.conversation.id", &conversation),
            ],
            ..Span::default()
        });
        let mut history = Vec::new();
        for call in 0..self.calls {
            let (ask, answer) = (self.text(), self.text());
            let asked = message("user", &ask, "");
            // Only agents send again what was said before.
            if self.calls == 3 {
                history.clear();
            }
            history.push(asked);
            let input = format!("[{}]", history.join(", "));
            let output = format!(
                "[{}]",
                message("assistant", &answer, r#""finish_reason": "stop", "#)
            );
            let tokens = (self.random.below(2_000), self.random.below(500));
            let first = self.random.share();
            let span_id = self.random.next().to_be_bytes().to_vec();
            self.push(Span {
                trace_id: id.clone(),
                span_id,
                parent_span_id: root.clone(),
                name: "chat smollm2".to_owned(),
                kind: 3,
                start_time_unix_nano: start + call * 10_000_000,
                end_time_unix_nano: start + (call + 1) * 10_000_000,
                attributes: vec![
                    text("gen_ai.operation.name", "chat"),
                    text("gen_ai.provider.name", "llama_cpp"),
                    text("gen_ai.request.model", "smollm2"),
                    whole("gen_ai.usage.input_tokens", tokens.0),
                    whole("gen_ai.usage.output_tokens", tokens.1),
                    double("gen_ai.request.temperature", 0.7),
                    double("gen_ai.response.time_to_first_chunk", first),
                    text("gen_ai.input.messages", &input),
                    text("gen_ai.output.messages", &output),
                    text("server.address", "127.0.0.1"),
                    whole("server.port", 8_080),
                ],
                ..Span::default()
            });
            history.push(message("assistant", &answer, ""));
        }
    }

    fn push(&mut self, mut span: Span) {
        if let Planted::Among(all) = self.planted {
            if self.spans.is_multiple_of(10) {
                span.attributes.push(text(COMMON.0, COMMON.1));
            }
            if self.spans.is_multiple_of((all / 10).max(1)) {
                span.attributes.push(text(RARE.0, RARE.1));
            }
        }
        self.spans += 1;
        self.waiting.push_back(span);
    }
}

fn message(role: &str, said: &str, more: &str) -> String {
    let said = serde_json::to_string(said).unwrap();
    format!(r#"{{"role": "{role}", {more}"parts": [{{"type": "text", "content": {said}}}]}}"#)
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn whole(key: &str, value: usize) -> KeyValue {
    attribute(key, Value::IntValue(i64::try_from(value).unwrap()))
}

fn double(key: &str, value: f64) -> KeyValue {
    attribute(key, Value::DoubleValue(value))
}

/// A request of one span, of the trace with this number.
pub(crate) fn probe(number: u64) -> Vec<u8> {
    let span = Span {
        trace_id: trace_id(number).to_vec(),
        span_id: vec![1; 8],
        name: "probe".to_owned(),
        start_time_unix_nano: crate::post::now(),
        ..Span::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![span],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    request.encode_to_vec()
}
