//! Each line of the server's log reaches the sink, and lines of a task know their request.

use crate::{Kept, engine, engine_with, greedy, run};
use llamatelemetry::LogTap;
use llamatelemetry::settings::LogLevel;
use llamatelemetry_record::{LoggedLine, Severity, Sink, TraceContext};
use std::sync::Arc;
use std::time::Duration;
use tracing_subscriber::layer::SubscriberExt as _;

fn field<'a>(line: &'a LoggedLine, name: &str) -> Option<&'a str> {
    let (_, value) = line.fields.iter().find(|(key, _)| key == name)?;
    Some(value)
}

#[test]
fn lines_of_a_request_carry_its_span() {
    run(async {
        let (engine, kept) = engine().await;
        let pid = engine.server().live().await.unwrap().process().pid();
        let mut requests: Vec<TraceContext> = Vec::new();
        for _ in 0..2 {
            let answer = engine.infer("One, two,", &greedy(4)).await.unwrap();
            requests.push(answer.trace_context);
        }
        let released = |request: &TraceContext| {
            let lines = kept.lines();
            let of_it = |line: &&LoggedLine| line.context == Some(*request);
            let texts: Vec<String> = lines
                .iter()
                .filter(of_it)
                .map(|line| line.text.clone())
                .collect();
            texts
                .iter()
                .any(|text| text.contains("stop processing"))
                .then_some(texts)
        };
        for request in &requests {
            let texts = llamatelemetry_testbed::until(
                "the line that ends the task",
                Duration::from_secs(10),
                || released(request),
            );
            assert!(texts[0].contains("launch_slot_"), "{texts:?}");
            assert!(
                texts.iter().any(|text| text.contains("eval time")),
                "{texts:?}"
            );
        }
        let pid = pid.to_string();
        for line in kept.lines() {
            assert_eq!(line.source, "llama_server");
            assert_eq!(field(&line, "pid"), Some(pid.as_str()));
            let of_a_request = line.context.is_some();
            assert!(
                !of_a_request || field(&line, "llamacpp.slot.id").is_some(),
                "{line:?}"
            );
            assert!(line.severity >= Severity::Debug);
        }
        engine.unload().await;
    });
}

#[test]
fn our_own_lines_within_a_request_carry_its_span_too() {
    let tap = LogTap::default();
    let subscriber = tracing_subscriber::registry().with(tap.layer());
    tracing::subscriber::with_default(subscriber, || {
        run(async {
            let (engine, _) = engine_with(|_| ()).await;
            let kept = Arc::new(Kept::default());
            let sink: Arc<dyn Sink> = kept.clone();
            tap.connect(&sink, LogLevel::Debug);
            let answer = engine.infer("One, two,", &greedy(2)).await.unwrap();
            let lines = kept.lines();
            let ended = lines.iter().find(|line| line.text == "the request ended");
            let ended = ended.expect("the request's last line");
            assert_eq!(ended.source, "llamatelemetry::exchange");
            assert_eq!(ended.context, Some(answer.trace_context));
            engine.unload().await;
        });
    });
}
