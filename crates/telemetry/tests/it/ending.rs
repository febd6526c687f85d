//! What is told at the very end, and where what was said in secret does not go.

use crate::sample::{chat, content, settings};
use llamatelemetry_record::{LoggedLine, RequestRecord, Severity, Sink as _};
use llamatelemetry_settings::{CaptureContent, ConventionsProfile};
use llamatelemetry_telemetry::{ResourceFacts, Telemetry};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const LONG: Duration = Duration::from_secs(20);

#[test]
fn the_last_repeats_of_a_line_reach_the_outputs() {
    let (home, mut settings) = settings(&[("OTEL_LOGS_EXPORTER", "none")]);
    let path = home.root().join("signals.jsonl");
    settings.telemetry.file = Some(path.clone());
    let telemetry = Telemetry::setup(&settings, ResourceFacts::default(), None).unwrap();
    for _ in 0..20 {
        telemetry.logged(LoggedLine {
            at: SystemTime::now(),
            severity: Severity::Warn,
            source: "llama_server".into(),
            text: "again and again".into(),
            context: None,
            fields: Vec::new(),
        });
    }
    telemetry.shutdown(LONG);
    let text = std::fs::read_to_string(&path).unwrap();
    let last = text.lines().rfind(|line| line.contains("again and again"));
    let last = last.expect("log records");
    assert!(last.contains("llamacpp.log.repeats"), "{last}");
    assert!(last.contains("\"intValue\":\"15\""), "{last}");
}

#[test]
fn with_capture_off_what_was_said_is_in_no_file_and_no_metric() {
    const SECRET: &str = "Explain";
    for (capture, there) in [
        (CaptureContent::NoContent, false),
        (CaptureContent::SpanOnly, true),
    ] {
        let (home, mut settings) = settings(&[
            ("OTEL_METRICS_EXPORTER", "prometheus"),
            ("OTEL_EXPORTER_PROMETHEUS_PORT", "0"),
        ]);
        let path = home.root().join("signals.jsonl");
        settings.telemetry.file = Some(path.clone());
        settings.telemetry.capture_content = capture;
        let telemetry = Telemetry::setup(&settings, ResourceFacts::default(), None).unwrap();
        let record = RequestRecord {
            content: Some(content()),
            ..chat()
        };
        telemetry.record(Arc::new(record));
        assert!(telemetry.flush(LONG));
        let address = telemetry.prometheus().expect("an endpoint");
        let mut connection = TcpStream::connect(address).unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n");
        connection.write_all(request.as_bytes()).unwrap();
        let mut metrics = String::new();
        connection.read_to_string(&mut metrics).unwrap();
        assert!(
            metrics.contains("gen_ai_server_request_duration"),
            "{metrics}"
        );
        assert!(!metrics.contains(SECRET), "{metrics}");
        let file = std::fs::read_to_string(&path).unwrap();
        assert!(file.contains("gen_ai.operation.name"), "{file}");
        assert_eq!(file.contains(SECRET), there, "{file}");
    }
}

#[test]
fn details_are_an_event_only_where_the_names_have_one() {
    for (profile, there) in [
        (ConventionsProfile::V1_36, false),
        (ConventionsProfile::V1_41, true),
        (ConventionsProfile::Latest, true),
    ] {
        let (home, mut settings) = settings(&[]);
        let path = home.root().join("signals.jsonl");
        settings.telemetry.file = Some(path.clone());
        settings.telemetry.capture_content = CaptureContent::EventOnly;
        settings.telemetry.profile = Some(profile);
        let telemetry = Telemetry::setup(&settings, ResourceFacts::default(), None).unwrap();
        let noticed = telemetry
            .notices()
            .iter()
            .any(|notice| notice.contains("no event"));
        assert_eq!(noticed, !there, "{profile:?}: {:?}", telemetry.notices());
        telemetry.record(Arc::new(RequestRecord {
            content: Some(content()),
            ..chat()
        }));
        telemetry.shutdown(LONG);
        let text = std::fs::read_to_string(&path).unwrap();
        let event = "gen_ai.client.inference.operation.details";
        assert_eq!(text.contains(event), there, "{profile:?}: {text}");
    }
}

#[test]
fn events_have_the_names_of_their_profile() {
    let (home, mut settings) = settings(&[]);
    let path = home.root().join("signals.jsonl");
    settings.telemetry.file = Some(path.clone());
    settings.telemetry.profile = Some(ConventionsProfile::V1_41);
    let telemetry = Telemetry::setup(&settings, ResourceFacts::default(), None).unwrap();
    telemetry.record(Arc::new(RequestRecord {
        failure: Some(llamatelemetry_record::Failure {
            kind: "timeout".into(),
            message: "too late".into(),
        }),
        ..chat()
    }));
    telemetry.shutdown(LONG);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("\"llamacpp.client.operation.exception\""),
        "{text}"
    );
}
