//! A real collector takes what we send: rotel, which prints what it receives.

use crate::sample::{chat, telemetry};
use llamatelemetry_record::{RequestRecord, Sink as _, SpanId, TraceId};
use llamatelemetry_telemetry::Delivery;
use llamatelemetry_testbed::{Backend, rotel, scratch_home, skip, until};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_real_collector_takes_the_spans() {
    let Some(program) = rotel() else {
        return skip("no rotel-agent (cargo xtask test installs it)");
    };
    let home = scratch_home();
    let log = home.root().join("log");
    let collector = Backend::start(&log, None, |[http, grpc]| {
        let mut command = home.command(&program);
        command
            .args(["start", "--exporter", "blackhole"])
            .args(["--debug-log", "traces", "--debug-log", "metrics"])
            .args(["--debug-log-verbosity", "detailed"])
            .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
            .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")]);
        command
    });
    for protocol in ["http/protobuf", "http/json"] {
        let record = RequestRecord {
            trace_id: TraceId::random(),
            span_id: SpanId::random(),
            ..chat()
        };
        let trace = record.trace_id.to_string();
        let telemetry = telemetry(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_METRICS_EXPORTER", "otlp"),
            ("OTEL_SERVICE_NAME", "seen-by-rotel"),
        ]);
        telemetry.record(Arc::new(record));
        let delivery = telemetry.shutdown(Duration::from_secs(30));
        let Delivery {
            delivered,
            kept,
            lost,
        } = delivery;
        assert!(delivered > 4, "{protocol}: spans and points of metrics");
        assert_eq!((kept, lost), (0, 0), "{protocol}");
        until(
            "the trace in the collector's log",
            Duration::from_secs(30),
            || {
                let text = std::fs::read_to_string(&log).ok()?;
                let spans = text.matches(&trace).count();
                let names = [
                    "chat smollm2",
                    "queue",
                    "prefill",
                    "decode",
                    "seen-by-rotel",
                    "llama_cpp",
                    "gen_ai.client.inference.duration",
                    "llamacpp.prefill.duration",
                ];
                (spans >= 4 && names.iter().all(|name| text.contains(name))).then_some(())
            },
        );
    }
}
