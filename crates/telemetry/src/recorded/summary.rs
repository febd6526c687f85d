//! A trace in one line.

use super::{Moment, hex};
use crate::check::Document;
use crate::names::attribute;
use crate::value;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A trace in one line. What no span states is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraceSummary {
    /// Its id in hexadecimal.
    pub trace_id: String,
    /// When its first span began.
    pub started_at: Moment,
    /// From the beginning of its first span to the end of its last one, s.
    pub duration_seconds: f64,
    /// The name of its first span that has no parent here.
    pub name: String,
    /// `service.name` of that span.
    pub service: Option<String>,
    /// The model of its first request, or of what else it does with one: its load.
    pub model: Option<String>,
    /// The operation of its first request: `chat`.
    pub operation: Option<String>,
    /// Prompt tokens of all its requests.
    pub input_tokens: Option<u64>,
    /// Generated tokens of all its requests.
    pub output_tokens: Option<u64>,
    /// Time to first token of its first request, s.
    pub ttft_seconds: Option<f64>,
    /// Why the answer to its last request ended.
    pub finish_reasons: Vec<String>,
    /// Whether a span has error status.
    pub failed: bool,
    /// What kind of error the first span that failed states.
    pub error: Option<String>,
    /// Energy of all its requests, J.
    pub joules: Option<f64>,
    /// Its spans.
    pub spans: u64,
}

/// Traces of which spans come, in any order.
#[derive(Debug, Default)]
pub(super) struct Summaries(BTreeMap<Vec<u8>, Vec<Brief>>);

/// What a summary needs of a span.
#[derive(Debug)]
struct Brief {
    id: Vec<u8>,
    parent: Vec<u8>,
    name: String,
    service: Option<String>,
    start: u64,
    end: u64,
    failed: bool,
    error: Option<String>,
    operation: Option<String>,
    model: Option<String>,
    tokens: (Option<u64>, Option<u64>),
    ttft: Option<f64>,
    finish_reasons: Vec<String>,
    joules: Option<f64>,
}

impl Summaries {
    pub(super) fn add(&mut self, document: &Document) {
        for resource in document.spans.iter().flatten() {
            let attributes = resource.resource.as_ref().map(|from| &from.attributes);
            let service = attributes.and_then(|all| text(value::find(all, "service.name")));
            for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
                let brief = Brief::of(span, service.clone());
                self.0.entry(span.trace_id.clone()).or_default().push(brief);
            }
        }
    }

    pub(super) fn newest_first(self) -> Vec<TraceSummary> {
        let traces = self.0.into_iter();
        let mut all: Vec<TraceSummary> = traces
            .filter_map(|(id, spans)| summary(&id, spans))
            .collect();
        all.sort_by_key(|trace| Reverse(trace.started_at));
        all
    }
}

impl Brief {
    fn of(span: &Span, service: Option<String>) -> Self {
        let find = |key| value::find(&span.attributes, key);
        let status = span.status.as_ref();
        Self {
            id: span.span_id.clone(),
            parent: span.parent_span_id.clone(),
            name: span.name.clone(),
            service,
            start: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
            failed: status.is_some_and(|status| status.code() == StatusCode::Error),
            error: text(find(attribute::ERROR_TYPE)),
            operation: text(find(attribute::OPERATION)),
            model: text(find(attribute::REQUEST_MODEL)),
            tokens: (
                count(find(attribute::INPUT_TOKENS)),
                count(find(attribute::OUTPUT_TOKENS)),
            ),
            ttft: double(find(attribute::TIME_TO_FIRST_CHUNK)),
            finish_reasons: texts(find(attribute::FINISH_REASONS)),
            joules: double(find(attribute::ENERGY)),
        }
    }
}

fn summary(id: &[u8], mut spans: Vec<Brief>) -> Option<TraceSummary> {
    spans.sort_by_key(|span| span.start);
    let ids: BTreeSet<&[u8]> = spans.iter().map(|span| &*span.id).collect();
    let root = spans
        .iter()
        .find(|span| !ids.contains(&*span.parent))
        .or(spans.first())?;
    let start = spans.first()?.start;
    let end = spans.iter().map(|span| span.end).max()?;
    let requests = || spans.iter().filter(|span| span.operation.is_some());
    let failed = || spans.iter().filter(|span| span.failed);
    Some(TraceSummary {
        trace_id: hex(id),
        started_at: Moment(start),
        duration_seconds: end.saturating_sub(start) as f64 / 1e9,
        name: root.name.clone(),
        service: root.service.clone(),
        model: spans.iter().find_map(|span| span.model.clone()),
        operation: requests().find_map(|span| span.operation.clone()),
        input_tokens: sum(requests().map(|span| span.tokens.0)),
        output_tokens: sum(requests().map(|span| span.tokens.1)),
        ttft_seconds: requests().find_map(|span| span.ttft),
        finish_reasons: requests()
            .map(|span| span.finish_reasons.clone())
            .rfind(|reasons| !reasons.is_empty())
            .unwrap_or_default(),
        failed: failed().next().is_some(),
        error: failed().find_map(|span| span.error.clone()),
        joules: requests()
            .filter_map(|span| span.joules)
            .reduce(|sum, joules| sum + joules),
        spans: spans.len() as u64,
    })
}

/// The sum of those that are known.
fn sum(counts: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    counts.flatten().reduce(u64::saturating_add)
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::ArrayValue(list)) => list
            .values
            .iter()
            .filter_map(|value| text(value.value.as_ref()))
            .collect(),
        _ => Vec::new(),
    }
}

fn count(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::IntValue(count) => u64::try_from(*count).ok(),
        _ => None,
    }
}

fn double(value: Option<&Value>) -> Option<f64> {
    match value? {
        Value::DoubleValue(number) => Some(*number),
        _ => None,
    }
}
