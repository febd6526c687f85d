//! The checker: silent on our own spans, and one planted fault for each rule.

use crate::profiles::{full, translated};
use crate::sample::chat;
use llamatelemetry_record::{Endpoint, Failure, RequestRecord};
use llamatelemetry_telemetry::check::{Checker, Document, Finding, Level, Rule};
use llamatelemetry_telemetry::conventions::{Conventions, Profile};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use std::collections::BTreeSet;

/// Telemetry without a fault.
struct World {
    spans: Vec<Span>,
    metrics: Vec<Metric>,
    logs: Vec<LogRecord>,
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

impl World {
    fn sound() -> Self {
        let labels = vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.provider.name", "llama_cpp"),
        ];
        let duration = Metric {
            name: "gen_ai.client.inference.duration".into(),
            unit: "s".into(),
            data: Some(Data::Histogram(Histogram {
                data_points: vec![HistogramDataPoint {
                    attributes: labels,
                    start_time_unix_nano: 1,
                    time_unix_nano: 2,
                    count: 3,
                    sum: Some(0.5),
                    explicit_bounds: vec![0.1],
                    bucket_counts: vec![1, 2],
                    ..HistogramDataPoint::default()
                }],
                ..Histogram::default()
            })),
            ..Metric::default()
        };
        let power = Metric {
            name: "hw.power".into(),
            unit: "W".into(),
            data: Some(Data::Gauge(Gauge {
                data_points: vec![NumberDataPoint {
                    attributes: vec![text("hw.id", "GPU-1"), text("hw.type", "gpu")],
                    time_unix_nano: 2,
                    ..NumberDataPoint::default()
                }],
            })),
            ..Metric::default()
        };
        let event = LogRecord {
            event_name: "gen_ai.client.inference.operation.details".into(),
            severity_number: 5,
            attributes: vec![
                text("gen_ai.operation.name", "chat"),
                text("gen_ai.provider.name", "llama_cpp"),
            ],
            ..LogRecord::default()
        };
        Self {
            spans: translated(&full(), Conventions::default()),
            metrics: vec![duration, power],
            logs: vec![event],
        }
    }

    fn findings(self) -> Vec<Finding> {
        let document = Document {
            spans: Some(vec![of_spans(self.spans)]),
            metrics: Some(vec![ResourceMetrics {
                scope_metrics: vec![ScopeMetrics {
                    metrics: self.metrics,
                    ..ScopeMetrics::default()
                }],
                ..ResourceMetrics::default()
            }]),
            logs: Some(vec![ResourceLogs {
                scope_logs: vec![ScopeLogs {
                    log_records: self.logs,
                    ..ScopeLogs::default()
                }],
                ..ResourceLogs::default()
            }]),
        };
        findings(None, &document)
    }

    /// The request's own span.
    fn request(&mut self) -> &mut Span {
        &mut self.spans[0]
    }

    fn set(&mut self, key: &str, value: Value) {
        self.drop_attribute(key);
        self.request().attributes.push(attribute(key, value));
    }

    fn drop_attribute(&mut self, key: &str) {
        self.request().attributes.retain(|one| one.key != key);
    }

    fn histogram(&mut self) -> &mut HistogramDataPoint {
        match &mut self.metrics[0].data {
            Some(Data::Histogram(histogram)) => &mut histogram.data_points[0],
            other => panic!("{other:?}"),
        }
    }
}

fn of_spans(spans: Vec<Span>) -> ResourceSpans {
    ResourceSpans {
        scope_spans: vec![ScopeSpans {
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    }
}

fn findings(profile: Option<Profile>, document: &Document) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut checker = Checker::new(profile);
    checker.check(document, &mut |finding| all.push(finding));
    checker.finish(&mut |finding| all.push(finding));
    all
}

fn string(value: &str) -> Value {
    Value::StringValue(value.into())
}

/// A change that breaks one rule.
type Fault = fn(&mut World);

/// One fault for each rule.
fn planted() -> Vec<(Rule, Fault)> {
    vec![
        (Rule::RequiredMissing, |world| {
            world.drop_attribute("gen_ai.provider.name");
        }),
        (Rule::ConditionallyRequiredMissing, |world| {
            world.set("server.address", string("127.0.0.1"));
        }),
        (Rule::UnknownAttribute, |world| {
            world.set("gen_ai.request.modle", string("m"));
        }),
        (Rule::TypeMismatch, |world| {
            world.set("gen_ai.request.temperature", string("0.5"));
        }),
        (Rule::UnknownValue, |world| {
            world.set("llamacpp.timings.source", string("guess"));
        }),
        (Rule::CustomValue, |world| {
            world.set("gen_ai.output.type", string("hologram"));
        }),
        (Rule::DeprecatedName, |world| {
            world.set("gen_ai.usage.prompt_tokens", Value::IntValue(1));
        }),
        (Rule::SpanName, |world| {
            world.request().name = "ask smollm2".into();
        }),
        (Rule::SpanKind, |world| {
            world.request().kind = SpanKind::Producer.into();
        }),
        (Rule::ErrorMismatch, |world| {
            world.set("error.type", string("timeout"));
        }),
        (Rule::TimeInverted, |world| {
            let before = world.request().start_time_unix_nano - 1;
            world.request().events.push(Event {
                time_unix_nano: before,
                name: "early".into(),
                ..Event::default()
            });
        }),
        (Rule::OutsideParent, |world| {
            // Half a millisecond early: the phases still add up.
            world.spans[1].start_time_unix_nano -= 500_000;
        }),
        (Rule::DanglingParent, |world| {
            world.request().parent_span_id = vec![9; 8];
        }),
        (Rule::PhasesDoNotSum, |world| {
            world.request().end_time_unix_nano += 5_000_000;
        }),
        (Rule::TokensContradict, |world| {
            world.set(
                "gen_ai.usage.cache_read.input_tokens",
                Value::IntValue(1 << 20),
            );
        }),
        (Rule::ChunkWithoutStream, |world| {
            world.drop_attribute("gen_ai.request.stream");
        }),
        (Rule::NoFinishReason, |world| {
            world.set(
                "gen_ai.output.messages",
                string(r#"[{"role":"assistant","parts":[]}]"#),
            );
        }),
        (Rule::MalformedContent, |world| {
            world.set("gen_ai.input.messages", string(r#"[{"role":"user"}]"#));
        }),
        (Rule::MalformedId, |world| {
            world.logs[0].trace_id = vec![0; 16];
        }),
        (Rule::DuplicateSpan, |world| {
            let again = world.spans[0].clone();
            world.spans.push(again);
        }),
        (Rule::UnknownMetric, |world| {
            world.metrics[1].name = "hw.pwoer".into();
        }),
        (Rule::MetricInstrument, |world| {
            world.metrics[1].name = "hw.energy".into();
            world.metrics[1].unit = "J".into();
        }),
        (Rule::MetricUnit, |world| {
            world.metrics[0].unit = "ms".into();
        }),
        (Rule::HistogramContradicts, |world| {
            world.histogram().count = 4;
        }),
        (Rule::UnknownEvent, |world| {
            world.logs[0].event_name = "gen_ai.client.inference.detials".into();
        }),
        (Rule::EventSeverity, |world| {
            world.logs[0].severity_number = 9;
        }),
    ]
}

#[test]
fn each_planted_fault_is_found_by_its_rule_alone() {
    let sound: BTreeSet<String> = World::sound().findings().iter().map(key).collect();
    for (rule, fault) in planted() {
        let mut world = World::sound();
        fault(&mut world);
        let found = world.findings();
        let new: Vec<&Finding> = found
            .iter()
            .filter(|one| !sound.contains(&key(one)))
            .collect();
        assert!(!new.is_empty(), "{rule} found nothing");
        for finding in new {
            assert_eq!(finding.rule, rule, "{finding:?}");
            assert_eq!(finding.level, rule.level());
            assert!(!finding.message.is_empty());
        }
    }
}

fn key(finding: &Finding) -> String {
    format!("{} {}", finding.rule, finding.message)
}

#[test]
fn every_rule_has_a_planted_fault_and_a_name_of_its_own() {
    let planted: BTreeSet<Rule> = planted().into_iter().map(|(rule, _)| rule).collect();
    let all: BTreeSet<Rule> = Rule::ALL.iter().copied().collect();
    assert_eq!(planted, all);
    let names: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(names.len(), Rule::ALL.len());
    let docs = include_str!("../../../../docs/conventions.md");
    for rule in Rule::ALL {
        let row = format!("| `{rule}` | {} | {} |", rule.level().as_str(), rule.what());
        assert!(docs.contains(&row), "docs/conventions.md lacks: {row}");
    }
}

/// Requests of every kind.
fn records() -> Vec<RequestRecord> {
    let failed = RequestRecord {
        failure: Some(Failure {
            kind: "connection".into(),
            message: "connection refused".into(),
        }),
        finish_reason: None,
        streamed: false,
        ..full()
    };
    let mut all = vec![full(), failed];
    for endpoint in [
        Endpoint::ChatCompletions,
        Endpoint::Completions,
        Endpoint::NativeCompletion,
        Endpoint::Responses,
        Endpoint::Messages,
        Endpoint::Embeddings,
        Endpoint::Rerank,
    ] {
        all.push(RequestRecord { endpoint, ..chat() });
    }
    all
}

#[test]
fn our_own_spans_violate_nothing() {
    for profile in Profile::ALL {
        for openinference in [false, true] {
            let conventions = Conventions::new(profile, openinference);
            for record in records() {
                let document = Document {
                    spans: Some(vec![of_spans(translated(&record, conventions))]),
                    ..Document::default()
                };
                let found = findings(Some(profile), &document);
                let grave: Vec<&Finding> = found
                    .iter()
                    .filter(|finding| finding.level > Level::Information)
                    .collect();
                assert!(grave.is_empty(), "{profile} {openinference}: {grave:#?}");
            }
        }
    }
}

#[test]
fn a_scope_is_checked_against_the_profile_that_its_schema_names() {
    let spans = translated(&full(), Conventions::new(Profile::V1_36, false));
    let mut resource = of_spans(spans);
    let violations = |resource: &ResourceSpans| {
        let document = Document {
            spans: Some(vec![resource.clone()]),
            ..Document::default()
        };
        let found = findings(None, &document);
        found
            .iter()
            .filter(|one| one.level == Level::Violation)
            .count()
    };
    assert!(violations(&resource) > 0);
    resource.scope_spans[0].schema_url = Conventions::new(Profile::V1_36, false)
        .schema_url()
        .to_owned();
    assert_eq!(violations(&resource), 0);
}
