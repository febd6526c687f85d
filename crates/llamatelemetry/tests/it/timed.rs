//! Figures, measured with the machine to themselves.

use crate::{engine, greedy, run};
use llamatelemetry::{ChatMessage, FinishReason, RequestRecord};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So often each request is made: the middle one counts, for a busy machine delays any one.
const TIMES: usize = 7;

/// How far apart two measures of one thing are, beyond the room they have: 1 % or 1 ms.
fn beyond(ours: Duration, theirs: Duration) -> Duration {
    let room = Duration::from_millis(1).max(theirs / 100);
    ours.abs_diff(theirs).saturating_sub(room)
}

fn middle<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort();
    values[values.len() / 2]
}

/// The phases that were seen from outside against what the server says of itself, in the middle
/// of several requests; and in every single one, that they sum to the whole.
fn figures_hold_together(records: &[Arc<RequestRecord>]) {
    let apart = |ours: fn(&RequestRecord) -> Duration, theirs: fn(&RequestRecord) -> Duration| {
        middle(
            records
                .iter()
                .map(|record| beyond(ours(record), theirs(record)))
                .collect(),
        )
    };
    let prefill = apart(
        |record| record.phases.prefill.unwrap(),
        |record| record.server_timings.unwrap().prefill().unwrap(),
    );
    assert_eq!(
        prefill,
        Duration::ZERO,
        "prefill is further from the server's own than 1 % or 1 ms"
    );
    let decode = apart(
        |record| record.phases.decode.unwrap(),
        |record| record.server_timings.unwrap().decode().unwrap(),
    );
    assert_eq!(
        decode,
        Duration::ZERO,
        "decode is further from the server's own than 1 % or 1 ms"
    );
    for record in records {
        let phases = record.phases;
        let sum = phases.queue.unwrap() + phases.prefill.unwrap() + phases.decode.unwrap();
        assert_eq!(beyond(sum, phases.total), Duration::ZERO, "{phases:?}");
    }
}

#[test]
fn chat_at_temperature_zero_repeats_itself_and_its_figures_are_true() {
    run(async {
        let (engine, kept) = engine().await;
        let question = [ChatMessage::user("Explain CUDA in one sentence.")];
        let (mut texts, mut walls) = (Vec::new(), Vec::new());
        for _ in 0..TIMES {
            let started = Instant::now();
            let answer = engine.chat(&question, &greedy(48)).await.unwrap();
            walls.push(started.elapsed());
            assert_eq!(answer.usage.completion_tokens, Some(48));
            assert_eq!(answer.finish_reason, Some(FinishReason::Length));
            assert!(
                answer.slot.is_some(),
                "the slot is known from the launch line"
            );
            texts.push(answer.text);
        }
        assert!(!texts[0].is_empty());
        assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
        let records = kept.records();
        assert!(
            records[1].usage.cached_tokens.unwrap() > 0,
            "{:?}",
            records[1].usage
        );
        figures_hold_together(&records);
        let walls = records.iter().zip(walls);
        let wall = middle(
            walls
                .map(|(record, wall)| beyond(record.phases.total, wall))
                .collect(),
        );
        assert_eq!(
            wall,
            Duration::ZERO,
            "the total is further from wall time than 1 % or 1 ms"
        );
        engine.unload().await;
    });
}

#[test]
fn an_answer_that_the_model_ends_has_true_figures_too() {
    run(async {
        let (engine, kept) = engine().await;
        let question = [ChatMessage::user("What is 2+2?")];
        for _ in 0..TIMES {
            let answer = engine.chat(&question, &greedy(200)).await.unwrap();
            assert_eq!(
                answer.finish_reason,
                Some(FinishReason::Stop),
                "{}",
                answer.text
            );
            assert!(answer.text.contains('4'), "{}", answer.text);
        }
        figures_hold_together(&kept.records());
        engine.unload().await;
    });
}

#[test]
fn dropping_a_stream_frees_its_slot() {
    run(async {
        let (engine, kept) = engine().await;
        let mut stream = engine
            .stream("Count to a million: 1, 2,", &greedy(4000))
            .await
            .unwrap();
        for _ in 0..8 {
            stream.next().await.unwrap().expect("the answer goes on");
        }
        let live = engine.server().live().await.unwrap();
        drop(stream);
        let dropped = Instant::now();
        let freed = loop {
            let slots = live.client().slots().await.unwrap();
            if slots.iter().all(|slot| !slot.is_processing) {
                break dropped.elapsed();
            }
            assert!(
                dropped.elapsed() < Duration::from_secs(10),
                "the slot is never freed"
            );
        };
        println!("slot freed {freed:?} after the stream was dropped");
        let record = &kept.records()[0];
        assert_eq!(record.finish_reason, Some(FinishReason::Cancelled));
        assert!(record.phases.decode.is_some());
        engine.unload().await;
    });
}
