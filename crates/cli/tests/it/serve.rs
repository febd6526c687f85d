//! `llt serve` without a model: other programs' telemetry comes in and is found again.

use crate::llt::Llt;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running `llt serve`, killed at the end.
struct Serving {
    child: Child,
    /// The document that it prints once it serves.
    told: Value,
}

impl Serving {
    /// Without a model, on ports that the system chooses.
    fn start(llt: &Llt) -> Self {
        let ports = ["--port", "0", "--otlp-http", "0", "--otlp-grpc", "0"];
        let mut command = llt.command(&["serve", "--json"]);
        command.args(ports);
        Self::spawn(command)
    }

    /// The same where no file may become larger than some tens of kilobytes.
    fn start_without_room(llt: &Llt) -> Self {
        // The signal of the limit is ignored, so that writing fails instead.
        let limited = "trap '' XFSZ; ulimit -f 128 && exec \"$0\" \"$@\"";
        let mut command = llt.home.command("/bin/sh");
        command
            .args(["-c", limited, env!("CARGO_BIN_EXE_llt"), "serve", "--json"])
            .args(["--port", "0", "--otlp-http", "0", "--otlp-grpc", "0"]);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let told = serde_json::from_str(&line).unwrap();
        Self { child, told }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What a program does that uses OpenTelemetry's own SDK: one span, one counter, one log record.
const SDK: &str = r#"
import logging, sys
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

way = sys.argv[1]
if way == "http":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
else:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter

who = Resource.create({"service.name": "sdk over " + way})
traces = TracerProvider(resource=who)
traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
metrics = MeterProvider(resource=who, metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter())])
logs = LoggerProvider(resource=who)
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
request = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "over " + way, "gen_ai.usage.input_tokens": 7}
with traces.get_tracer("test").start_as_current_span("chat over " + way, attributes=request):
    metrics.get_meter("test").create_counter("calls.over." + way).add(3)
    log = logging.getLogger("test")
    log.addHandler(LoggingHandler(logger_provider=logs))
    log.warning("hello over %s", way)
for provider in traces, metrics, logs:
    provider.shutdown()
"#;

/// Runs the SDK against the server and returns what it complained of.
fn send(llt: &Llt, python: &std::path::Path, way: &str, address: &str, packed: &str) -> String {
    let mut command = Command::new(python);
    let output = command
        .args(["-W", "ignore", "-c", SDK, way])
        .env_clear()
        .env("HOME", llt.root())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", packed)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let complaint = String::from_utf8(output.stderr).unwrap();
    // Its own warning goes to stderr too, through its own logging.
    let lines = complaint
        .lines()
        .filter(|line| !line.contains("hello over"));
    lines.collect()
}

fn has_sdk(python: &std::path::Path) -> bool {
    let find =
        "import opentelemetry.exporter.otlp.proto.http, opentelemetry.exporter.otlp.proto.grpc";
    let mut command = Command::new(python);
    command.args(["-c", find]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[test]
fn an_unmodified_sdk_sends_all_three_signals_both_ways() {
    let python = llamatelemetry_testbed::python().filter(|python| has_sdk(python));
    let Some(python) = python else {
        return llamatelemetry_testbed::skip("no Python with OpenTelemetry's SDK");
    };
    let llt = Llt::new();
    let serving = Serving::start(&llt);
    let address = |key: &str| serving.told[key].as_str().unwrap().to_owned();
    for (way, address, packed) in [
        ("http", address("otlp_http"), "gzip"),
        ("grpc", address("otlp_grpc"), "gzip"),
    ] {
        assert_eq!(send(&llt, &python, way, &address, packed), "", "{way}");
        let traces = llt.run(&["trace", "list", "--model", &format!("over {way}"), "--json"]);
        let trace = traces.json();
        assert_eq!(
            trace["name"],
            format!("chat over {way}"),
            "{}",
            traces.text()
        );
        assert_eq!(trace["service"], format!("sdk over {way}"));
        let id = trace["trace_id"].as_str().unwrap();
        let shown = llt.run(&["trace", "show", id, "-v"]).text();
        assert!(shown.contains("gen_ai.usage.input_tokens=7"), "{shown}");
        let logs = llt.run(&["logs"]).text();
        assert!(logs.contains(&format!("hello over {way}")), "{logs}");
        let sums = llt.run(&["metrics"]).text();
        assert!(sums.contains(&format!("over {way}")), "{sums}");
        let points = llt.run(&["trace", "export", "--signal", "metrics"]).text();
        assert!(points.contains(&format!("calls.over.{way}")), "{points}");
    }
}

/// The parts of OTLP's JSON that a test sends: spans from this number on.
fn spans(from: u64, count: u64) -> String {
    let span = |number: u64| {
        format!(
            r#"{{"traceId":"{:032x}","spanId":"{:016x}","name":"s","startTimeUnixNano":"{}","endTimeUnixNano":"{}"}}"#,
            number + 1,
            number + 1,
            1_795_000_000_000_000_000 + number,
            1_795_000_000_000_001_000 + number,
        )
    };
    let spans: Vec<String> = (from..from + count).map(span).collect();
    format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#,
        spans.join(",")
    )
}

#[test]
fn a_kill_loses_no_answered_span() {
    const SPANS: u64 = 16;
    let llt = Llt::new();
    let mut answered: Vec<u64> = Vec::new();
    let mut next = 0;
    for round in 0..10 {
        let mut serving = Serving::start(&llt);
        let address = serving.told["otlp_http"].as_str().unwrap();
        let address = address.strip_prefix("http://").unwrap().to_owned();
        // Several at once, so that a kill meets requests at every stage.
        let (tell, told) = std::sync::mpsc::sync_channel(64);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (address, tell) = (address.clone(), tell.clone());
                std::thread::Builder::new()
                    .name(format!("sender-{thread}"))
                    .spawn_scoped(scope, move || {
                        let mut client = post::Client::connect(&address);
                        for number in (next + thread..).step_by(4) {
                            let body = spans(number * SPANS, SPANS);
                            if client.post("/v1/traces", &body) != Some(200)
                                || tell.send(number).is_err()
                            {
                                return;
                            }
                        }
                    })
                    .unwrap();
            }
            drop(tell);
            // Moments spread over the life of a journal.
            let wanted = 1 + round * 13;
            let mut this: Vec<u64> = (0..wanted)
                .map(|_| told.recv_timeout(Duration::from_secs(20)).unwrap())
                .collect();
            serving.kill();
            this.extend(told.iter());
            answered.extend(this);
        });
        next = answered.iter().max().unwrap() + 8;
    }
    let exported = llt.run(&["trace", "export"]).stdout;
    let held: std::collections::BTreeSet<&str> = exported
        .split("\"spanId\":\"")
        .skip(1)
        .map(|rest| &rest[..16])
        .collect();
    for number in answered {
        for span in number * SPANS..(number + 1) * SPANS {
            assert!(
                held.contains(format!("{:016x}", span + 1).as_str()),
                "{span}"
            );
        }
    }
}

#[test]
fn without_room_it_refuses_and_goes_on_and_loses_nothing() {
    const SPANS: u64 = 64;
    let llt = Llt::new();
    let mut serving = Serving::start_without_room(&llt);
    let address = serving.told["otlp_http"].as_str().unwrap();
    let mut client = post::Client::connect(address.strip_prefix("http://").unwrap());
    let mut answered = Vec::new();
    let mut refused = 0;
    for number in 0..400 {
        match client.post("/v1/traces", &spans(number * SPANS, SPANS)) {
            Some(200) => answered.push(number),
            Some(503) => refused += 1,
            other => panic!("{other:?}"),
        }
        if refused > 2 && answered.last() == Some(&number) {
            break;
        }
    }
    assert!(refused > 0 && answered.len() > 2, "{refused} {answered:?}");
    serving.kill();
    let exported = llt.run(&["trace", "export"]).stdout;
    let held: Vec<&str> = exported.split("\"spanId\":\"").skip(1).collect();
    let wanted = answered.len() * usize::try_from(SPANS).unwrap();
    assert_eq!(held.len(), wanted, "refused ones left nothing");
}

#[test]
fn a_taken_port_is_told_and_the_rest_serves() {
    let llt = Llt::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command = llt.command(&["serve", "--json", "--port", "0", "--otlp-grpc", "0"]);
    command.args(["--otlp-http", &port]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let told: Value = serde_json::from_str(&line).unwrap();
    crate::signals::signal(child.id(), "-TERM");
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(told["otlp_http"].is_null() && told["otlp_grpc"].is_string());
    assert!(said.contains("OTLP over HTTP is not received"), "{said}");
    assert!(said.contains(&port), "{said}");
}

/// The least of an HTTP client.
mod post {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpStream;

    pub(super) struct Client(BufReader<TcpStream>);

    impl Client {
        pub(super) fn connect(address: &str) -> Self {
            Self(BufReader::new(TcpStream::connect(address).unwrap()))
        }

        /// The status; `None` if the connection broke.
        pub(super) fn post(&mut self, path: &str, json: &str) -> Option<u16> {
            let request = format!(
                "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{json}",
                json.len()
            );
            self.0.get_mut().write_all(request.as_bytes()).ok()?;
            let mut line = String::new();
            self.0.read_line(&mut line).ok()?;
            let status = line.split(' ').nth(1)?.parse().ok()?;
            let mut length = 0;
            loop {
                line.clear();
                self.0.read_line(&mut line).ok()?;
                if line.trim().is_empty() {
                    break;
                }
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().ok()?;
                }
            }
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).ok()?;
            Some(status)
        }
    }
}
