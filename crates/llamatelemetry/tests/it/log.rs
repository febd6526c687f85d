//! Each line of the server's log reaches the sink, and lines of a task know their request.

use crate::{engine, greedy, run};
use llamatelemetry_record::{LoggedLine, Severity, TraceContext};
use std::time::Duration;

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
