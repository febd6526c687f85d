//! Phoenix.

use super::{Conversation, SHOWN};
use llamatelemetry_record::RequestRecord;
use llamatelemetry_settings::TelemetryBackend;
use llamatelemetry_testbed::{Backend, phoenix, scratch_home, skip, until};
use serde_json::json;

#[test]
fn phoenix_reads_what_we_sent() {
    let Some(program) = phoenix() else {
        return skip("no Phoenix (cargo xtask test installs it)");
    };
    let home = scratch_home();
    let backend = Backend::start(
        &home.root().join("log"),
        Some("/healthz"),
        |[http, grpc]| {
            let mut command = home.command(&program);
            command
                .arg("serve")
                .env("PHOENIX_WORKING_DIR", home.root())
                .env("PHOENIX_HOST", "127.0.0.1")
                .env("PHOENIX_PORT", http.to_string())
                .env("PHOENIX_GRPC_PORT", grpc.to_string())
                .env("PHOENIX_TELEMETRY_ENABLED", "false")
                // It would look for help on the network as it starts.
                .env("PHOENIX_ALLOW_EXTERNAL_RESOURCES", "false")
                .env("PHOENIX_DISABLE_AGENT_ASSISTANT", "true");
            command
        },
    );
    let conversation = Conversation::new();
    conversation.send(
        TelemetryBackend::Phoenix,
        &[("PHOENIX_COLLECTOR_ENDPOINT", &backend.url())],
    );
    let spans = until("8 spans", SHOWN, || {
        let spans = backend.get_json("/v1/projects/default/spans?limit=100")?;
        let spans = spans["data"].as_array()?.clone();
        (spans.len() == 8).then_some(spans)
    });
    let span = |record: &RequestRecord| {
        let id = record.span_id.to_string();
        let mut found = spans.iter().filter(|span| span["context"]["span_id"] == id);
        found.next().expect("the request's span").clone()
    };
    let (answered, failed) = (span(&conversation.answered), span(&conversation.failed));
    assert_eq!(answered["name"], "chat smollm2");
    for (span, status, message) in [
        (&answered, "UNSET", ""),
        (&failed, "ERROR", "out of memory"),
    ] {
        assert_eq!(span["status_code"], status);
        assert_eq!(span["status_message"], message);
        let attributes = &span["attributes"];
        // What it makes of our attributes for its own pages.
        for (name, expected) in [
            ("llm.model_name", json!("smollm2")),
            ("llm.token_count.prompt", json!(36)),
            ("llm.token_count.completion", json!(48)),
            ("llm.token_count.prompt_details.cache_read", json!(10)),
            ("session.id", json!(conversation.id)),
            ("llm.input_messages.0.message.role", json!("system")),
            ("llm.output_messages.0.message.role", json!("assistant")),
        ] {
            assert_eq!(attributes[name], expected, "{name}");
        }
    }
    assert_eq!(answered["span_kind"], "LLM");
    assert_eq!(answered["attributes"]["llm.finish_reason"], "stop");
    assert_eq!(failed["attributes"]["error.type"], "server_error");

    let trace = conversation.answered.trace_id.to_string();
    let root = conversation.answered.span_id.to_string();
    let mut phases: Vec<&str> = spans
        .iter()
        .filter(|span| span["context"]["trace_id"] == trace && span["parent_id"] == root)
        .filter_map(|span| span["name"].as_str())
        .collect();
    phases.sort_unstable();
    assert_eq!(phases, ["decode", "prefill", "queue"]);
}
