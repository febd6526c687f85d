//! What the log says of a collector that cannot be reached.

use crate::sample::{NOBODY, chat, telemetry};
use llamatelemetry_record::Sink as _;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A log that remembers.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_collector_that_is_away_is_told_once_and_without_secrets() {
    let log = Log::default();
    let writer = log.clone();
    // For the whole process, since exports have a thread of their own.
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let endpoint = format!("http://user:hidden-value@{NOBODY}");
    let telemetry = telemetry(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hidden-value"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "150"),
    ]);
    for _ in 0..3 {
        telemetry.record(Arc::new(chat()));
        telemetry.flush(Duration::from_secs(20));
    }
    telemetry.shutdown(Duration::from_secs(20));
    telemetry.shutdown(Duration::from_secs(20));
    let text = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("UTF-8");
    assert!(!text.contains("hidden-value"), "{text}");
    // Other tests of this process write here too: only this address is ours.
    let warnings = |what: &str| {
        text.lines()
            .filter(|line| line.contains("WARN") && line.contains(what))
            .count()
    };
    let url = format!("http://{NOBODY}/v1/traces");
    assert_eq!(warnings(&format!("endpoint={url}")), 1, "{text}");
    let loss = telemetry.loss().expect("all was lost");
    assert_eq!(warnings(&loss), 1, "{text}");
    assert!(
        loss.starts_with("12 of 12 spans wait on disk and are sent later: "),
        "{loss}"
    );
    assert!(loss.ends_with(&url), "{loss}");
}
