//! Metrics as Prometheus gets them.

use crate::sample;
use llamatelemetry_record::{LiveRequest, RequestRecord, Sink as _};
use llamatelemetry_telemetry::{ResourceFacts, Telemetry};
use llamatelemetry_testbed as testbed;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A pipeline that serves metrics on a free port, and the port.
fn serving(more: &[(&str, &str)]) -> (sample::Running, SocketAddr) {
    let mut variables = vec![
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "0"),
    ];
    variables.extend(more);
    let telemetry = sample::telemetry(&variables);
    let address = telemetry.prometheus().expect("an endpoint");
    (telemetry, address)
}

/// Sends this and returns all that comes back.
fn exchange(address: SocketAddr, request: &str) -> String {
    let mut connection = TcpStream::connect(address).expect("a connection");
    connection.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    answer
}

fn scrape(address: SocketAddr, accept: &str) -> String {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n");
    let answer = exchange(address, &request);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    let length = format!("Content-Length: {}", body.len());
    assert!(head.contains(&length), "{head}");
    body.to_owned()
}

/// One request that went well, one that failed, one that runs and waits.
fn requests(telemetry: &Telemetry) -> Arc<LiveRequest> {
    telemetry.record(Arc::new(RequestRecord {
        gaps: vec![Duration::from_micros(1400), Duration::from_millis(7)],
        ..sample::chat()
    }));
    let mut failed = sample::chat();
    failed.failure = Some(llamatelemetry_record::Failure {
        kind: "server_ended".into(),
        message: "the server ended".into(),
    });
    telemetry.record(Arc::new(failed));
    let record = sample::chat();
    let live = Arc::new(LiveRequest::new(
        record.trace_id,
        record.span_id,
        record.endpoint,
        Instant::now(),
    ));
    assert!(telemetry.flush(Duration::from_secs(10)));
    telemetry.started(&live);
    live
}

const OPEN: &str = "application/openmetrics-text; version=1.0.0";

#[test]
fn a_scrape_tells_what_was_recorded() {
    let (telemetry, address) = serving(&[]);
    let live = requests(&telemetry);
    let text = scrape(address, "*/*");
    let has = |line: &str| assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    let common = "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"llama_cpp\",\
                  gen_ai_request_model=\"smollm2\",\
                  gen_ai_response_model=\"SmolLM2-135M-Instruct.Q4_1.gguf\"";
    has(&format!(
        "gen_ai_client_inference_usage_output_tokens_total{{{common},\
         gen_ai_token_modality=\"text\"}} 96"
    ));
    has(&format!(
        "gen_ai_server_time_to_first_token_seconds_sum{{{common}}} 0.067"
    ));
    has(&format!(
        "gen_ai_server_time_per_output_token_seconds_bucket{{{common},le=\"0.01\"}} 1"
    ));
    for (bound, count) in [("0.001", 0), ("0.0015", 1), ("0.008", 2)] {
        has(&format!(
            "gen_ai_client_inference_time_per_output_chunk_seconds_bucket{{{common},\
             le=\"{bound}\"}} {count}"
        ));
    }
    has(&format!(
        "llamacpp_wasted_tokens_total{{error_type=\"server_ended\",{common}}} 48"
    ));
    has("llamacpp_requests_active{gen_ai_operation_name=\"chat\"} 1");
    has("llamacpp_requests_waiting{gen_ai_operation_name=\"chat\"} 1");
    assert!(text.contains("\ntarget_info{"), "{text}");
    live.mark_slot_started(Instant::now());
    let text = scrape(address, "*/*");
    assert!(text.contains("\nllamacpp_requests_waiting{gen_ai_operation_name=\"chat\"} 0\n"));
    drop(live);
    let text = scrape(address, "*/*");
    assert!(text.contains("\nllamacpp_requests_active{gen_ai_operation_name=\"chat\"} 0\n"));
}

#[test]
fn exemplars_lead_to_traces_that_are_kept() {
    // Spans go somewhere, so their traces can be found.
    let nobody = format!("http://{}", sample::NOBODY);
    let (telemetry, address) = serving(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &nobody)]);
    telemetry.record(Arc::new(sample::chat()));
    telemetry.flush(Duration::ZERO);
    let found = testbed::until("an exemplar", Duration::from_secs(10), || {
        let text = scrape(address, OPEN);
        assert!(text.ends_with("# EOF\n"));
        let exemplar = format!("# {{trace_id=\"{}\"", sample::chat().trace_id);
        text.contains(&exemplar).then_some(text)
    });
    assert!(found.contains("# TYPE llamacpp_prefill_tokens counter\n"));
    assert!(!scrape(address, "text/plain").contains("trace_id="));

    let (telemetry, address) = serving(&[]);
    requests(&telemetry);
    assert!(
        !scrape(address, OPEN).contains("trace_id="),
        "they go nowhere"
    );
}

#[test]
fn promtool_finds_nothing_wrong() {
    let Some(promtool) = testbed::promtool() else {
        return testbed::skip("no promtool (LLAMATELEMETRY_TEST_PROMTOOL)");
    };
    let (telemetry, address) = serving(&[]);
    let _live = requests(&telemetry);
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    let text = scrape(address, "text/plain;version=0.0.4");
    let mut input = check.stdin.take().expect("its input");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let output = check.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}

#[test]
fn strange_requests_are_refused() {
    let (_telemetry, address) = serving(&[]);
    let get = |rest: &str| format!("GET /metrics HTTP/1.1\r\n{rest}\r\n\r\n");
    for (request, status) in [
        (get("Host: evil.example"), "421"),
        (get("X: no host"), "421"),
        (
            get(&format!("Host: localhost\r\nX: {}", "x".repeat(9000))),
            "431",
        ),
        (
            "POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
            "405",
        ),
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".into(), "404"),
        ("nonsense\r\n\r\n".into(), "400"),
    ] {
        let answer = exchange(address, &request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{status}: {answer}"
        );
    }
    let answer = exchange(address, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(answer.ends_with("\r\n\r\n"), "no body: {answer}");
}

#[test]
fn those_who_say_nothing_keep_nobody_out_for_long() {
    let (_telemetry, address) = serving(&[]);
    let silent: Vec<TcpStream> = (0..8)
        .map(|_| TcpStream::connect(address).expect("a connection"))
        .collect();
    let request = "GET /metrics HTTP/1.0\r\n\r\n";
    testbed::until("that all turns are taken", Duration::from_secs(10), || {
        let mut connection = TcpStream::connect(address).ok()?;
        connection.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        // Being reset is being refused as well; the status has usually come before.
        drop(connection.read_to_string(&mut answer));
        answer.starts_with("HTTP/1.1 503").then_some(())
    });
    drop(silent);
    testbed::until("a turn", Duration::from_secs(10), || {
        let mut connection = TcpStream::connect(address).ok()?;
        connection.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(())
    });
}

#[test]
fn the_port_is_free_again_at_the_end() {
    let (telemetry, address) = serving(&[]);
    telemetry.shutdown(Duration::from_secs(5));
    assert_eq!(telemetry.prometheus(), None);
    TcpStream::connect(address).expect_err("nobody listens");
}

#[test]
fn an_address_in_use_is_an_error_with_advice() {
    let (_telemetry, address) = serving(&[]);
    let port = address.port().to_string();
    let (_home, settings) = sample::settings(&[
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", &port),
    ]);
    let error = Telemetry::setup(&settings, ResourceFacts::default(), None).expect_err("in use");
    assert!(error.hints()[0].contains("OTEL_EXPORTER_PROMETHEUS_PORT"));
}
