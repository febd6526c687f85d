//! What the server's log tells of a request.

use crate::{engine_with, greedy, run};
use llamatelemetry::ChatMessage;
use llamatelemetry_record::{MarkKind, RequestRecord};

fn marks(record: &RequestRecord) -> Vec<&MarkKind> {
    let ends = record.started_at + record.phases.total;
    for mark in &record.marks {
        assert!(mark.at >= record.started_at, "{mark:?} before the request");
        assert!(
            mark.at <= ends + std::time::Duration::from_millis(50),
            "{mark:?} after {ends:?}"
        );
    }
    record.marks.iter().map(|mark| &mark.kind).collect()
}

#[test]
fn a_full_context_is_shifted_and_said_to_be() {
    run(async {
        let (engine, kept) = engine_with(|settings| {
            settings.server.context = Some(256);
            settings.server.parallel = Some(1);
            settings.server.extra_args = vec!["--context-shift".into()];
        })
        .await;
        let question = [ChatMessage::user("Count to a million: 1, 2, 3,")];
        let mut options = greedy(300);
        options.extra.insert("ignore_eos".into(), true.into());
        let answer = engine.chat(&question, &options).await.unwrap();
        assert_eq!(answer.usage.completion_tokens, Some(300));
        let record = kept.records()[0].clone();
        let marks = marks(&record);
        let slot = record.slot.expect("the slot is known");
        assert_eq!(marks[0], &MarkKind::SlotAcquired { slot });
        let shifted = |mark: &&MarkKind| matches!(mark, MarkKind::ContextShift { discarded: Some(tokens) } if *tokens > 64);
        assert!(marks[1..].iter().any(shifted), "{marks:?}");
        assert!(marks[1..].iter().all(shifted), "{marks:?}");
        engine.unload().await;
    });
}

#[test]
fn drafts_and_how_many_were_accepted_are_told() {
    run(async {
        let (engine, kept) = engine_with(|settings| {
            settings.server.parallel = Some(1);
            settings.server.extra_args = vec!["--spec-type".into(), "ngram-mod".into()];
        })
        .await;
        let prompt = format!("Repeat: {}", "a b c d e f g h ".repeat(16));
        engine.infer(&prompt, &greedy(100)).await.unwrap();
        let record = kept.records()[0].clone();
        let counts = record.server_timings.and_then(|timings| timings.draft_n);
        let told = marks(&record).into_iter().find_map(|mark| match mark {
            MarkKind::DraftAcceptance { drafted, accepted } => Some((*drafted, *accepted)),
            _ => None,
        });
        let (drafted, accepted) = told.expect("it drafts what it has seen before");
        assert_eq!(counts, Some(drafted));
        assert!(
            accepted > 0 && accepted <= drafted,
            "{accepted} of {drafted}"
        );
        engine.unload().await;
    });
}
