//! Signals in a file.

use crate::sample::{chat, settings};
use llamatelemetry_record::Sink as _;
use llamatelemetry_telemetry::{ResourceFacts, SpanLimits, Telemetry, spans};
use opentelemetry_proto::tonic::metrics::v1::MetricsData;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn each_line_is_an_export_request() {
    let (home, mut settings) = settings(&[]);
    let path = home.root().join("trace.jsonl");
    settings.telemetry.file = Some(path.clone());
    for _ in 0..2 {
        let telemetry =
            Telemetry::setup(&settings, ResourceFacts::default(), None).expect("set up");
        assert!(telemetry.is_active());
        telemetry.record(Arc::new(chat()));
        assert!(telemetry.settle(Duration::from_secs(20)));
    }
    let text = std::fs::read_to_string(&path).expect("the file");
    let (traces, metrics): (Vec<&str>, Vec<&str>) = text
        .lines()
        .partition(|line| line.contains("resourceSpans"));
    assert_eq!(traces.len(), 2, "the second program appends");
    for line in metrics {
        let data: MetricsData = serde_json::from_str(line).expect("OTLP's JSON");
        assert!(!data.resource_metrics[0].scope_metrics[0].metrics.is_empty());
    }
    for line in traces {
        let data: TracesData = serde_json::from_str(line).expect("OTLP's JSON");
        let resource = &data.resource_spans[0];
        assert!(resource.resource.is_some());
        assert_eq!(
            resource.scope_spans[0].spans,
            spans(&chat(), &SpanLimits::default())
        );
    }
}

#[test]
fn a_file_that_cannot_be_written_is_an_error() {
    let (home, mut settings) = settings(&[]);
    settings.telemetry.file = Some(home.root().join("no/folder/trace.jsonl"));
    let error = Telemetry::setup(&settings, ResourceFacts::default(), None).expect_err("no folder");
    assert!(!error.hints().is_empty());
}
