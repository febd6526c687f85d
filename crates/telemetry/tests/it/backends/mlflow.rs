//! MLflow.

use super::{Conversation, SHOWN};
use llamatelemetry_settings::TelemetryBackend;
use llamatelemetry_testbed::{Backend, mlflow, scratch_home, skip, until};
use serde_json::{Value as Json, json};

#[test]
fn mlflow_reads_what_we_sent() {
    let Some(program) = mlflow() else {
        return skip("no MLflow (cargo xtask test installs it)");
    };
    let home = scratch_home();
    let database = format!("sqlite:///{}/mlflow.db", home.root().display());
    let backend = Backend::start(&home.root().join("log"), Some("/health"), |[http, _]| {
        let mut command = home.command(&program);
        command
            .current_dir(home.root())
            .args(["server", "--host", "127.0.0.1", "--workers", "1"])
            .args(["--port", &http.to_string()])
            .args(["--backend-store-uri", &database])
            // Its eight processes for work of other kinds.
            .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false");
        command
    });
    let conversation = Conversation::new();
    conversation.send(
        TelemetryBackend::Mlflow,
        &[("MLFLOW_TRACKING_URI", &backend.url())],
    );
    let place = json!({"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}});
    let question = json!({"locations": [place]});
    let found = until("2 traces", SHOWN, || {
        let found = backend.post_json("/api/3.0/mlflow/traces/search", &question);
        (found["traces"].as_array()?.len() == 2).then_some(found)
    });
    for (record, state) in [
        (&conversation.answered, "OK"),
        (&conversation.failed, "ERROR"),
    ] {
        let id = format!("tr-{}", record.trace_id);
        let traces = found["traces"].as_array().expect("traces");
        let trace = traces.iter().find(|trace| trace["trace_id"] == id);
        let trace = trace.expect("the request's trace");
        assert_eq!(trace["state"], state);
        let told = &trace["trace_metadata"];
        assert_eq!(told["mlflow.trace.session"], conversation.id);
        let tokens = told["mlflow.trace.tokenUsage"].as_str().expect("tokens");
        // The request's span alone holds tokens: they would be added up over its children.
        assert_eq!(
            serde_json::from_str::<Json>(tokens).expect("JSON"),
            json!({
                "input_tokens": 36,
                "output_tokens": 48,
                "total_tokens": 84,
                "cache_read_input_tokens": 10,
            })
        );
        let preview = |name: &str| trace[name].as_str().unwrap_or_default().to_owned();
        assert!(preview("request_preview").contains("Be brief."));
        assert!(preview("response_preview").contains("CUDA runs code on GPUs."));
    }
    spans(&backend, &conversation);
}

/// What it keeps of each span.
fn spans(backend: &Backend, conversation: &Conversation) {
    let id = format!("tr-{}", conversation.answered.trace_id);
    let got = backend
        .get_json(&format!("/api/3.0/mlflow/traces/get?trace_id={id}"))
        .expect("a trace");
    let spans = got["trace"]["spans"].as_array().expect("spans");
    let mut names: Vec<&str> = spans
        .iter()
        .filter_map(|span| span["name"].as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["chat smollm2", "decode", "prefill", "queue"]);
    let root = spans.iter().find(|span| span["name"] == "chat smollm2");
    let attributes = root.and_then(|root| root["attributes"].as_array());
    let value = |name: &str| {
        let attributes = attributes.expect("attributes");
        let found = attributes.iter().find(|attribute| attribute["key"] == name);
        found.expect(name)["value"].clone()
    };
    assert_eq!(
        value("gen_ai.request.model"),
        json!({"string_value": "smollm2"})
    );
    assert_eq!(
        value("gen_ai.response.finish_reasons"),
        json!({"array_value": {"values": [{"string_value": "stop"}]}})
    );
    // What it shows as the model is the one that answered.
    assert_eq!(value("mlflow.llm.model"), value("gen_ai.response.model"));
}
