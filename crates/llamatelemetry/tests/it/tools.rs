//! Tools that a model calls, in the trace of the answer that called them.

use crate::{engine_with, greedy, run};
use llamatelemetry::ToolCall;
use llamatelemetry::settings::Settings;
use llamatelemetry_record::What;

async fn runs_of_a_tool(
    change: impl FnOnce(&mut Settings),
) -> Vec<llamatelemetry_record::Happening> {
    let (engine, kept) = engine_with(change).await;
    let answer = engine.infer("One, two,", &greedy(1)).await.unwrap();
    let call = ToolCall {
        id: "call_1".into(),
        name: "weather".into(),
        arguments: r#"{"city":"Paris"}"#.into(),
    };
    let cause = answer.trace_context;
    let run = engine.tool_run(cause, &call);
    assert_eq!(run.trace_context().trace_id, cause.trace_id);
    run.succeeded("12 degrees");
    engine
        .tool_run(cause, &call)
        .failed("timeout", "nobody answered");
    drop(engine.tool_run(cause, &call));
    let runs: Vec<_> = kept.happenings().into_iter().skip(1).collect();
    for run in &runs {
        assert_eq!(run.parent, Some(cause));
        assert_eq!(run.trace_id, cause.trace_id);
    }
    engine.unload().await;
    runs
}

#[test]
fn a_tools_run_is_a_child_of_the_answer_that_called_it() {
    run(async {
        let runs = runs_of_a_tool(|_| ()).await;
        let kinds: Vec<Option<&str>> = runs
            .iter()
            .map(|run| run.failure.as_ref().map(|failure| failure.kind.as_str()))
            .collect();
        assert_eq!(kinds, [None, Some("timeout"), Some("cancelled")]);
        for run in runs {
            let expected = What::ToolExecution {
                name: "weather".into(),
                call_id: Some("call_1".into()),
                content: None,
            };
            assert_eq!(run.what, expected);
        }
    });
}
