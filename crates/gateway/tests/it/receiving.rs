//! What OTLP's receiver refuses, and how it says so.

use crate::wire::{Reply, send};
use llamatelemetry::LoadOptions;
use llamatelemetry_gateway::{Gateway, ServePlan};
use llamatelemetry_settings::ByteSize;
use llamatelemetry_testbed as testbed;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

/// A gateway without models that takes requests of 64 KiB.
async fn gateway() -> (testbed::ScratchHome, Gateway) {
    let home = testbed::scratch_home();
    let mut settings = home.settings();
    settings.serve.port = 0;
    settings.serve.otlp_http = 0;
    settings.serve.otlp_grpc = 0;
    settings.serve.otlp_body_limit = ByteSize(64 << 10);
    let plan = ServePlan {
        models: Vec::new(),
        options: LoadOptions::new(settings),
        telemetry: None,
    };
    let gateway = Gateway::start(plan).await.unwrap();
    (home, gateway)
}

fn post(address: SocketAddr, kind: &str, lines: &str, body: &str) -> Reply {
    send(
        address,
        &format!(
            "POST /v1/traces HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Type: {kind}\r\n{lines}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused_in_the_senders_own_form() {
    let (_home, gateway) = gateway().await;
    let address = gateway.otlp_http().unwrap();
    let json = "application/json";
    let long = format!("{{\"x\":\"{}\"}}", "a".repeat(64 << 10));
    for (kind, lines, body, status, code) in [
        (json, "", "{\"resourceSpans\":1}", 400, 3),
        (json, "", "{", 400, 3),
        (json, "Content-Encoding: gzip\r\n", "not packed", 400, 3),
        (json, "Content-Encoding: br\r\n", "{}", 415, 12),
        ("text/plain", "", "{}", 415, 12),
        (json, "", long.as_str(), 413, 8),
    ] {
        let reply = post(address, kind, lines, body);
        assert_eq!(reply.status, status, "{}", reply.body);
        let told: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(told["code"], code, "{told}");
    }
    let reply = post(address, "application/x-protobuf", "", "no protobuf");
    assert_eq!(reply.status, 400);
    // The first field of `google.rpc.Status`: the code 3.
    assert!(reply.body.starts_with("\u{8}\u{3}"), "{:?}", reply.body);
    assert_eq!(reply.header("content-type"), Some("application/x-protobuf"));
    let reply = post(address, json, "Origin: https://evil.example\r\n", "{}");
    assert_eq!(reply.status, 403);
    let reply = post(address, json, "Origin: http://localhost\r\n", "{}");
    assert_eq!(reply.status, 403);
    let reply = post(address, json, "", "{}");
    assert_eq!((reply.status, reply.body.as_str()), (200, "{}"));
    gateway.drain(Duration::from_secs(5)).await;
}
