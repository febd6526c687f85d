//! What in recorded telemetry violates the conventions, or our own definitions, rule by rule.
//!
//! [`read`] takes OTLP apart in bounded memory, [`Checker`] looks at what comes out. It holds of
//! each span only its ids and times, so that relations between spans can be checked at the end.

mod attributes;
mod content;
mod logs;
mod metrics;
mod read;
mod rule;
mod span;
mod tree;

pub use read::{Document, ReadError, read};
pub use rule::{Level, Rule};

use crate::conventions::{Conventions, Profile};
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use serde::Serialize;
use tree::Tree;

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// How grave it is.
    pub level: Level,
    /// What it is about: `span chat smollm2`, `metric gen_ai.client.token.usage`.
    pub subject: String,
    /// What is wrong with it, in a sentence. Values of attributes that can hold content are not
    /// in it.
    pub message: String,
    /// The trace, in hexadecimal, if it is about a span.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The span, in hexadecimal, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Spans.
    pub spans: u64,
    /// Points of metrics.
    pub points: u64,
    /// Log records.
    pub logs: u64,
    /// Spans whose relations to others were not checked, because there were too many to hold.
    pub unrelated: u64,
}

/// Where findings go.
type Found<'a> = &'a mut dyn FnMut(Finding);

/// Checks what it is given.
#[derive(Debug)]
pub struct Checker {
    /// The profile to check against; `None`: each scope's own, by its schema's address.
    profile: Option<Profile>,
    tree: Tree,
    checked: Checked,
}

/// What a thing is checked against and where it stands.
struct At<'a> {
    conventions: Conventions,
    subject: String,
    ids: Option<(&'a [u8], &'a [u8])>,
}

impl At<'_> {
    fn report(&self, found: Found<'_>, rule: Rule, message: impl Into<String>) {
        found(Finding {
            rule,
            level: rule.level(),
            subject: self.subject.clone(),
            message: message.into(),
            trace_id: self.ids.map(|(trace, _)| hex(trace)),
            span_id: self.ids.map(|(_, span)| hex(span)),
        });
    }
}

impl Checker {
    /// Checks against a profile, or each scope against the one that its schema's address names,
    /// the latest if it names none.
    pub fn new(profile: Option<Profile>) -> Self {
        Self {
            profile,
            tree: Tree::default(),
            checked: Checked::default(),
        }
    }

    /// Checks one document. Relations between spans are checked by [`Self::finish`].
    pub fn check(&mut self, document: &Document, found: Found<'_>) {
        for resource in document.spans.iter().flatten() {
            self.spans(resource, found);
        }
        for resource in document.metrics.iter().flatten() {
            self.metrics(resource, found);
        }
        for resource in document.logs.iter().flatten() {
            self.logs(resource, found);
        }
    }

    /// Checks how the spans stand to each other, and tells how much was looked at.
    pub fn finish(self, found: Found<'_>) -> Checked {
        let unrelated = self.tree.check(found);
        Checked {
            unrelated,
            ..self.checked
        }
    }

    fn spans(&mut self, resource: &ResourceSpans, found: Found<'_>) {
        let origin = self.tree.origin(resource.resource.as_ref());
        let first = resource.scope_spans.first();
        let schema = first.map_or("", |scope| &scope.schema_url);
        self.resource(resource.resource.as_ref(), schema, found);
        for scope in &resource.scope_spans {
            let conventions = self.conventions(&scope.schema_url, &resource.schema_url);
            for one in &scope.spans {
                self.checked.spans += 1;
                let at = At {
                    conventions,
                    subject: format!("span {}", one.name),
                    ids: Some((&one.trace_id, &one.span_id)),
                };
                span::check(&at, one, found);
                self.tree.add(origin, one);
            }
        }
    }

    fn metrics(&mut self, resource: &ResourceMetrics, found: Found<'_>) {
        let first = resource.scope_metrics.first();
        let schema = first.map_or("", |scope| &scope.schema_url);
        self.resource(resource.resource.as_ref(), schema, found);
        for scope in &resource.scope_metrics {
            let conventions = self.conventions(&scope.schema_url, &resource.schema_url);
            for metric in &scope.metrics {
                let at = At {
                    conventions,
                    subject: format!("metric {}", metric.name),
                    ids: None,
                };
                self.checked.points += metrics::check(&at, metric, found);
            }
        }
    }

    fn logs(&mut self, resource: &ResourceLogs, found: Found<'_>) {
        let first = resource.scope_logs.first();
        let schema = first.map_or("", |scope| &scope.schema_url);
        self.resource(resource.resource.as_ref(), schema, found);
        for scope in &resource.scope_logs {
            let conventions = self.conventions(&scope.schema_url, &resource.schema_url);
            for log in &scope.log_records {
                self.checked.logs += 1;
                let name = if log.event_name.is_empty() {
                    "log record".to_owned()
                } else {
                    format!("event {}", log.event_name)
                };
                let in_span = !log.trace_id.is_empty() || !log.span_id.is_empty();
                let at = At {
                    conventions,
                    subject: name,
                    ids: in_span.then_some((&log.trace_id, &log.span_id)),
                };
                logs::check(&at, log, found);
            }
        }
    }

    fn resource(&self, resource: Option<&Resource>, schema: &str, found: Found<'_>) {
        let at = At {
            conventions: self.conventions(schema, ""),
            subject: "resource".to_owned(),
            ids: None,
        };
        let all = resource.map_or(&[][..], |resource| &resource.attributes);
        attributes::check(&at, all, found);
    }

    fn conventions(&self, scope: &str, resource: &str) -> Conventions {
        let schema = if scope.is_empty() { resource } else { scope };
        let named = || {
            let mut all = Profile::ALL.into_iter();
            all.find(|profile| profile.registry().schema_url == schema)
        };
        Conventions::new(self.profile.or_else(named).unwrap_or_default(), true)
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}
