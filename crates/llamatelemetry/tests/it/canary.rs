//! A secret that was said is in nothing that the sink gets while capture is off, and where it
//! belongs while capture is on.

use crate::{Kept, engine_with, greedy, run};
use llamatelemetry::settings::CaptureContent;
use llamatelemetry::{ChatMessage, InferenceEngine};
use serde_json::json;

const PROMPT: &str = "canary-in-the-prompt";
const SYSTEM: &str = "canary-in-the-system-prompt";
const ARGUMENT: &str = "canary-in-a-tool-argument";
const ALL: [&str; 3] = [PROMPT, SYSTEM, ARGUMENT];

/// Asks with all the secrets: once well, once so that the server quotes them in its refusal.
async fn ask(engine: &InferenceEngine) -> String {
    let mut called = ChatMessage::assistant("");
    let call = json!([{"id": "c1", "type": "function",
        "function": {"name": "search", "arguments": json!({"query": ARGUMENT}).to_string()}}]);
    called.extra.insert("tool_calls".into(), call);
    let mut returned = ChatMessage::text("tool", "nothing found");
    returned.extra.insert("tool_call_id".into(), "c1".into());
    let messages = [
        ChatMessage::system(SYSTEM),
        ChatMessage::user(PROMPT),
        called,
        returned,
        ChatMessage::user(PROMPT),
    ];
    engine.chat(&messages, &greedy(3)).await.unwrap();

    let mut options = greedy(3);
    options.tools = vec![json!({"type": "function", "description": ARGUMENT, "of": PROMPT})];
    let refused = engine.chat(&messages, &options).await.unwrap_err();
    format!("{refused}")
}

fn everything(kept: &Kept) -> String {
    format!(
        "{:?}\n{:?}\n{:?}\n{:?}",
        kept.records(),
        kept.live(),
        kept.happenings(),
        kept.lines()
    )
}

#[test]
fn with_capture_off_a_secret_is_nowhere() {
    run(async {
        let (engine, kept) = engine_with(|settings| {
            settings.server.extra_args = vec!["--verbose".into()];
        })
        .await;
        let refused = ask(&engine).await;
        assert!(
            refused.contains(ARGUMENT),
            "the server quotes what it refuses: {refused}"
        );
        engine.unload().await;
        let all = everything(&kept);
        for secret in ALL {
            assert!(!all.contains(secret), "{secret}: {all}");
        }
        assert_eq!(kept.records().len(), 2);
        assert!(kept.lines().iter().any(|line| line.context.is_some()));
    });
}

#[test]
fn with_capture_on_it_is_in_the_content_and_in_the_servers_log() {
    run(async {
        let (engine, kept) = engine_with(|settings| {
            settings.telemetry.capture_content = CaptureContent::SpanOnly;
            settings.server.extra_args = vec!["--verbose".into()];
        })
        .await;
        ask(&engine).await;
        engine.unload().await;
        let content = format!("{:?}", kept.records()[0].content);
        let lines = format!("{:?}", kept.lines());
        for secret in ALL {
            assert!(content.contains(secret), "{secret}: {content}");
            assert!(lines.contains(secret), "{secret} in the log");
        }
    });
}
