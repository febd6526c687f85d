//! Known backends: path, headers, protocol and signals, against a receiver of our own.

use crate::receiver::{Received, Receiver, Reply};
use crate::sample::{chat, settings};
use llamatelemetry_record::Sink as _;
use llamatelemetry_settings::{Environment, TelemetryBackend};
use llamatelemetry_telemetry::{ResourceFacts, Telemetry, TelemetryError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Sends one request to a backend at the receiver's address; returns it and the notices.
fn sent(backend: TelemetryBackend, variables: &[(&str, &str)]) -> (Received, Vec<String>) {
    let receiver = Receiver::start(&[Reply::ok()]);
    let url = receiver.url();
    let (_home, mut settings) = settings(&[]);
    settings.telemetry.backend = Some(backend);
    let pairs: BTreeMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.replace("URL", &url)))
        .collect();
    settings.environment = Environment::from_pairs(pairs);
    let telemetry = Telemetry::setup(&settings, ResourceFacts::default(), None).expect("set up");
    assert!(!format!("{telemetry:?}").contains("hidden"));
    telemetry.record(Arc::new(chat()));
    let delivery = telemetry.shutdown(Duration::from_secs(30));
    assert_eq!(delivery.lost + delivery.kept, 0);
    let request = receiver.next();
    assert_eq!(request.headers["content-type"], "application/x-protobuf");
    assert_eq!(request.spans().len(), 4);
    (request, telemetry.notices().to_vec())
}

fn resource(received: &Received) -> String {
    format!("{:?}", received.payload().resource_spans[0].resource)
}

#[test]
fn langfuse() {
    let (received, notices) = sent(
        TelemetryBackend::Langfuse,
        &[
            ("LANGFUSE_HOST", "URL/"),
            ("LANGFUSE_PUBLIC_KEY", "pk-lf-1"),
            ("LANGFUSE_SECRET_KEY", "sk-lf-hidden"),
        ],
    );
    assert_eq!(received.path, "/api/public/otel/v1/traces");
    // pk-lf-1:sk-lf-hidden
    let expected = "Basic cGstbGYtMTpzay1sZi1oaWRkZW4=";
    assert_eq!(received.headers["authorization"], expected);
    assert_eq!(received.headers["x-langfuse-ingestion-version"], "4");
    assert_eq!(
        notices,
        ["Langfuse takes spans only; metrics and logs are not sent"]
    );
}

#[test]
fn phoenix() {
    let (received, notices) = sent(
        TelemetryBackend::Phoenix,
        &[
            ("PHOENIX_COLLECTOR_ENDPOINT", "URL"),
            ("PHOENIX_API_KEY", "hidden"),
            ("PHOENIX_CLIENT_HEADERS", "x-space=a%20b"),
            ("PHOENIX_PROJECT_NAME", "talks"),
        ],
    );
    assert_eq!(received.path, "/v1/traces");
    assert_eq!(received.headers["authorization"], "Bearer hidden");
    assert_eq!(received.headers["x-space"], "a b");
    assert!(resource(&received).contains("openinference.project.name"));
    assert_eq!(notices.len(), 1);
}

#[test]
fn mlflow() {
    let (received, notices) = sent(
        TelemetryBackend::Mlflow,
        &[
            ("MLFLOW_TRACKING_URI", "URL"),
            ("MLFLOW_EXPERIMENT_ID", "7"),
            ("MLFLOW_TRACKING_TOKEN", "hidden"),
        ],
    );
    assert_eq!(received.path, "/v1/traces");
    assert_eq!(received.headers["x-mlflow-experiment-id"], "7");
    assert_eq!(received.headers["authorization"], "Bearer hidden");
    assert_eq!(notices.len(), 1);
}

#[test]
fn weights_and_biases() {
    let (received, notices) = sent(
        TelemetryBackend::Wandb,
        &[
            ("WANDB_BASE_URL", "URL"),
            ("WANDB_API_KEY", "hidden"),
            ("WANDB_ENTITY", "team"),
            ("WANDB_PROJECT", "talks"),
        ],
    );
    assert_eq!(received.path, "/traces/otel/v1/traces");
    assert_eq!(received.headers["wandb-api-key"], "hidden");
    let resource = resource(&received);
    assert!(resource.contains("wandb.entity") && resource.contains("wandb.project"));
    assert_eq!(notices.len(), 1);
}

#[test]
fn grafana_cloud_takes_every_signal() {
    let (received, notices) = sent(
        TelemetryBackend::Grafana,
        &[
            ("GRAFANA_CLOUD_OTLP_ENDPOINT", "URL/otlp"),
            ("GRAFANA_CLOUD_INSTANCE_ID", "12345"),
            ("GRAFANA_CLOUD_API_KEY", "glc_hidden"),
        ],
    );
    assert_eq!(received.path, "/otlp/v1/traces");
    // 12345:glc_hidden
    let expected = "Basic MTIzNDU6Z2xjX2hpZGRlbg==";
    assert_eq!(received.headers["authorization"], expected);
    assert_eq!(notices, [""; 0]);
}

#[test]
fn what_a_backend_needs_is_asked_for_by_name() {
    let (_home, mut settings) = settings(&[]);
    settings.telemetry.backend = Some(TelemetryBackend::Wandb);
    settings.environment = Environment::from_pairs([("WANDB_API_KEY", "k")]);
    let error = Telemetry::setup(&settings, ResourceFacts::default(), None).expect_err("no entity");
    assert!(
        matches!(
            error,
            TelemetryError::Backend {
                variable: "WANDB_ENTITY",
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.hints()[0].contains("WANDB_ENTITY"));
}

#[test]
fn the_standard_variables_win_over_a_backend() {
    let receiver = Receiver::start(&[Reply::ok()]);
    let address = format!("{}/elsewhere", receiver.url());
    let (_home, mut settings) = settings(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &address)]);
    settings.telemetry.backend = Some(TelemetryBackend::Phoenix);
    settings.environment = Environment::default();
    let telemetry = Telemetry::setup(&settings, ResourceFacts::default(), None).expect("set up");
    telemetry.record(Arc::new(chat()));
    telemetry.shutdown(Duration::from_secs(30));
    assert_eq!(receiver.next().path, "/elsewhere");
}
