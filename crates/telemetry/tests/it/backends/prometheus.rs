//! Prometheus scrapes us and is asked what it has.

use super::{Conversation, SHOWN};
use crate::sample::{NOBODY, telemetry};
use llamatelemetry_record::Sink as _;
use llamatelemetry_testbed::{Backend, prometheus, scratch_home, skip, until};
use serde_json::Value as Json;
use std::sync::Arc;
use std::time::SystemTime;

#[test]
fn prometheus_scrapes_what_was_recorded() {
    let Some(program) = prometheus() else {
        return skip("no Prometheus (cargo xtask test unpacks Debian's package)");
    };
    let telemetry = telemetry(&[
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "0"),
        // Exemplars are told where spans go somewhere.
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{NOBODY}")),
    ]);
    let address = telemetry.prometheus().expect("an endpoint");
    let conversation = Conversation::new();
    telemetry.record(Arc::new(conversation.answered.clone()));
    telemetry.record(Arc::new(conversation.failed.clone()));

    let home = scratch_home();
    let config = home.root().join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 250ms, scrape_timeout: 250ms}}\n\
         scrape_configs:\n\
         - job_name: llamatelemetry\n  static_configs: [{{targets: [\"{address}\"]}}]\n"
    );
    std::fs::write(&config, text).expect("a file");
    let log = home.root().join("log");
    let backend = Backend::start(&log, Some("/-/ready"), |[http, _]| {
        let mut command = home.command(&program);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}/data",
                home.root().display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{http}"))
            .arg("--enable-feature=exemplar-storage");
        command
    });
    // The sum over all series of this name that have the label.
    let sum = |metric: &str, label: &str, value: &str| -> Option<f64> {
        let answer = backend.get_json(&format!("/api/v1/query?query={metric}"))?;
        assert_eq!(answer["status"], "success");
        let series = answer["data"]["result"].as_array()?;
        let values: Vec<f64> = series
            .iter()
            .filter(|series| series["metric"][label] == value)
            .filter_map(|series| series["value"][1].as_str()?.parse().ok())
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    };
    for (metric, label, value, expected) in [
        ("up", "job", "llamatelemetry", 1.0),
        (
            "gen_ai_client_inference_usage_output_tokens_total",
            "gen_ai_request_model",
            "smollm2",
            96.0,
        ),
        (
            "gen_ai_client_inference_duration_seconds_count",
            "gen_ai_request_model",
            "smollm2",
            2.0,
        ),
        (
            "gen_ai_client_inference_duration_seconds_count",
            "error_type",
            "server_error",
            1.0,
        ),
        (
            "gen_ai_client_inference_duration_seconds_count",
            "gen_ai_response_model",
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            2.0,
        ),
    ] {
        until(metric, SHOWN, || {
            let found = sum(metric, label, value)?;
            ((found - expected).abs() < f64::EPSILON).then_some(())
        });
    }
    let traces = [
        conversation.answered.trace_id.to_string(),
        conversation.failed.trace_id.to_string(),
    ];
    until("an exemplar that names a trace", SHOWN, || {
        let found = exemplars(&backend, "gen_ai_client_inference_duration_seconds_bucket")?;
        let trace = found["data"][0]["exemplars"][0]["labels"]["trace_id"].as_str()?;
        traces.iter().any(|one| one == trace).then_some(())
    });
}

/// All exemplars of a metric.
fn exemplars(backend: &Backend, metric: &str) -> Option<Json> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let end = now.ok()?.as_secs() + 60;
    backend.get_json(&format!(
        "/api/v1/query_exemplars?query={metric}&start=0&end={end}"
    ))
}
