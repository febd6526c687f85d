//! What the dashboard asks, held to its description.

use crate::wire::{Reply, connect, get, send};
use llamatelemetry::{LoadOptions, setup_telemetry};
use llamatelemetry_gateway::{Gateway, ServePlan};
use llamatelemetry_testbed as testbed;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

const PREFIX: &str = "/llamatelemetry/v1";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Checks each answer against the schema of its path and status.
const ORACLE: &str = r#"
import json, sys
from jsonschema import Draft202012Validator
document, answers = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
Draft202012Validator.check_schema(document["components"]["schemas"])
for answer in answers:
    told = document["paths"][answer["path"]]["get"]["responses"][str(answer["status"])]
    schema = dict(told["content"]["application/json"]["schema"], components=document["components"])
    for fault in Draft202012Validator(schema).iter_errors(answer["body"]):
        sys.exit(f'{answer["path"]}: {fault.json_path}: {fault.message}')
"#;

/// A gateway without models, with telemetry, in a home of its own.
async fn gateway() -> (testbed::ScratchHome, Gateway) {
    let home = testbed::scratch_home();
    let mut settings = home.settings();
    settings.serve.port = 0;
    settings.serve.otlp_http = 0;
    settings.serve.otlp_grpc = 0;
    let telemetry = setup_telemetry(&settings, Box::new(std::io::sink())).unwrap();
    let plan = ServePlan {
        models: Vec::new(),
        options: LoadOptions::new(settings).with_sink(telemetry.sink()),
        telemetry: Some(telemetry.pipeline()),
    };
    let gateway = Gateway::start(plan).await.unwrap();
    (home, gateway)
}

fn post(address: SocketAddr, path: &str, body: &Value) -> Reply {
    let body = body.to_string();
    send(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

/// One span, one log record and two points, as another program sends them.
fn send_telemetry(otlp: SocketAddr) {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let time = "1795000000000000000";
    let span = json!({
        "traceId": TRACE, "spanId": "00f067aa0ba902b7", "name": "chat smollm2",
        "startTimeUnixNano": time, "endTimeUnixNano": "1795000000500000000",
        "attributes": [
            text("gen_ai.operation.name", "chat"), text("gen_ai.request.model", "smollm2"),
            { "key": "gen_ai.usage.output_tokens", "value": { "intValue": "48" } },
        ],
    });
    let record = json!({ "timeUnixNano": time, "severityNumber": 13, "traceId": TRACE,
        "body": { "stringValue": "hot" }, "attributes": [text("a", "b")] });
    let gauge = json!({ "name": "hw.power", "unit": "W", "gauge": { "dataPoints": [
        { "timeUnixNano": time, "asDouble": 300.5, "attributes": [text("hw.id", "0")] } ] } });
    let histogram = json!({ "name": "t", "unit": "s", "histogram": { "aggregationTemporality": 2,
        "dataPoints": [{ "timeUnixNano": time, "count": "2", "sum": 3.0,
            "bucketCounts": ["1", "1"], "explicitBounds": [1.0], "attributes": [] }] } });
    for (path, body) in [
        (
            "/v1/traces",
            json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] }),
        ),
        (
            "/v1/logs",
            json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [record] }] }] }),
        ),
        (
            "/v1/metrics",
            json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [gauge, histogram] }] }] }),
        ),
    ] {
        let reply = post(otlp, path, &body);
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        assert_eq!(reply.body, "{}", "{path}");
    }
}

/// The interpreter, if it has this module.
fn python_with(module: &str) -> Option<PathBuf> {
    testbed::python().filter(|python| {
        let mut command = Command::new(python);
        command.args(["-c", &format!("import {module}")]);
        let status = command.stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_the_description_says() {
    let (home, gateway) = gateway().await;
    let address = gateway.address();
    send_telemetry(gateway.otlp_http().unwrap());
    let trace = format!("/traces/{TRACE}");
    let none = format!("/traces/{}", "1".repeat(32));
    let asked = [
        ("/livez", "", "", 200),
        ("/readyz", "", "", 200),
        ("/health", "", "", 200),
        ("/v1/health", "", "", 200),
        (PREFIX, "/status", "", 200),
        (PREFIX, "/store", "", 200),
        (
            PREFIX,
            "/requests",
            "?model=smollm2&failed=false&limit=5",
            200,
        ),
        (PREFIX, "/requests", "?limit=0", 400),
        (PREFIX, "/requests", "?limitt=1", 400),
        (PREFIX, "/requests/live", "", 200),
        (PREFIX, "/traces/{trace_id}", trace.as_str(), 200),
        (PREFIX, "/traces/{trace_id}", none.as_str(), 404),
        (PREFIX, "/traces/{trace_id}", "/traces/abc", 400),
        (PREFIX, "/figures", "?step_minutes=60", 200),
        (PREFIX, "/figures", "?since_ms=2&until_ms=1", 400),
        (PREFIX, "/series", "?metric=hw.power", 200),
        (PREFIX, "/series", "?metric=t", 200),
        (PREFIX, "/series", "", 400),
        (PREFIX, "/logs", "?level=warn&text=HOT", 200),
        (PREFIX, "/machine", "", 200),
        ("/llamatelemetry/openapi.json", "", "", 200),
    ];
    let mut answers = Vec::new();
    for (prefix, path, question, status) in asked {
        let target = if question.starts_with('/') {
            format!("{prefix}{question}")
        } else {
            format!("{prefix}{path}{question}")
        };
        let reply = get(address, &target, &[]);
        assert_eq!(reply.status, status, "{target}: {}", reply.body);
        let body: Value = serde_json::from_str(&reply.body).unwrap();
        answers.push(json!({ "path": format!("{prefix}{path}"), "status": status, "body": body }));
    }
    let answer = |path: &str| {
        let path = format!("{PREFIX}{path}");
        let found = answers.iter().find(|answer| answer["path"] == path);
        found.unwrap()["body"].clone()
    };
    assert_eq!(answer("/requests")["requests"][0]["output_tokens"], 48);
    assert_eq!(answer("/figures")["steps"][0]["requests"], 1);
    assert_eq!(answer("/series")["points"][0]["value"], 300.5);
    assert_eq!(answer("/logs")["logs"][0]["body"], "hot");
    assert_eq!(
        answer("/traces/{trace_id}")["resourceSpans"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    for path in ["/metrics", "/llamatelemetry/metrics"] {
        let reply = get(address, path, &[]);
        assert_eq!(reply.status, 200);
        assert!(
            reply
                .header("content-type")
                .unwrap()
                .starts_with("text/plain")
        );
    }
    assert_eq!(get(address, "/llamatelemetry/nothing", &[]).status, 404);
    let document = home.root().join("openapi.json");
    let told = home.root().join("answers.json");
    std::fs::write(
        &document,
        get(address, "/llamatelemetry/openapi.json", &[]).body,
    )
    .unwrap();
    std::fs::write(&told, Value::from(answers).to_string()).unwrap();
    gateway.drain(Duration::from_secs(5)).await;
    let Some(python) = python_with("jsonschema") else {
        return testbed::skip("no Python with jsonschema");
    };
    let mut oracle = Command::new(python);
    let output = oracle
        .args(["-c", ORACLE])
        .arg(document)
        .arg(told)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_as_they_happen_and_end_with_the_server() {
    let (_home, gateway) = gateway().await;
    let address = gateway.address();
    let mut stream = connect(address);
    let request = format!("GET {PREFIX}/events HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert!(next().contains("200"));
    while next() != "event: sample" {}
    let data = next();
    let sample: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
    assert!(sample["unix_ns"].is_number(), "{sample}");
    let began = std::time::Instant::now();
    gateway.drain(Duration::from_secs(15)).await;
    assert!(began.elapsed() < Duration::from_secs(10));
}

/// Finds no answer that is a fault of ours, whatever is asked.
#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_server_error() {
    let Some(python) = python_with("schemathesis") else {
        return testbed::skip("no Python with schemathesis");
    };
    let (home, gateway) = gateway().await;
    send_telemetry(gateway.otlp_http().unwrap());
    let url = format!("http://{}", gateway.address());
    let mut command = Command::new(python.with_file_name("schemathesis"));
    command
        .args([
            "run",
            &format!("{url}/llamatelemetry/openapi.json"),
            "--url",
            &url,
        ])
        // The stream has no end.
        .args(["--exclude-operation-id", "events"])
        .args([
            "--checks",
            "not_a_server_error,response_schema_conformance,content_type_conformance",
        ])
        .args([
            "--max-examples",
            "20",
            "--phases",
            "examples,coverage,fuzzing",
        ])
        .args(["--seed", "7", "--request-timeout", "10", "--no-color"])
        .current_dir(home.root())
        .env_clear()
        .env("HOME", home.root())
        .env("PATH", "/usr/bin:/bin");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    gateway.drain(Duration::from_secs(5)).await;
}
