//! Figures, measured with the machine to themselves.

use crate::{engine, engine_with, greedy, run};
use llamatelemetry::{ChatMessage, Endpoints as _, FinishReason, InferResult, RequestRecord};
use std::time::{Duration, Instant};

/// A busy machine delays what is seen here, never what the server measures of itself, so one
/// request whose every figure agrees shows that they measure the same. So many are tried.
const ATTEMPTS: usize = 20;

/// Whether two measures of one thing agree to 1 % or 1 ms.
fn agree(ours: Duration, theirs: Duration) -> bool {
    ours.abs_diff(theirs) <= Duration::from_millis(1).max(theirs / 100)
}

/// Whether the phases seen from outside agree with the server's own account, the total with the
/// caller's wall time, and the phases with the total. The last holds on any machine.
fn figures_agree(record: &RequestRecord, wall: Duration) -> bool {
    let phases = record.phases;
    let (prefill, decode) = (phases.prefill.unwrap(), phases.decode.unwrap());
    assert_eq!(
        phases.queue.unwrap() + prefill + decode,
        phases.total,
        "{phases:?}"
    );
    let server = record
        .server_timings
        .expect("llama-server states its timings");
    agree(prefill, server.prefill().unwrap())
        && agree(decode, server.decode().unwrap())
        && agree(phases.total, wall)
}

/// Asks until the figures of one answer agree; `check` looks at every answer.
async fn ask_until_figures_agree(question: &str, max_tokens: u64, check: impl Fn(&InferResult)) {
    let (engine, kept) = engine().await;
    let question = [ChatMessage::user(question)];
    let mut seen = Vec::new();
    for attempt in 0..ATTEMPTS {
        let started = Instant::now();
        let mut stream = engine
            .chat_stream(&question, &greedy(max_tokens))
            .await
            .unwrap();
        while stream.next().await.unwrap().is_some() {}
        let wall = started.elapsed();
        check(&stream.finish().await.unwrap());
        let record = kept.records()[attempt].clone();
        if figures_agree(&record, wall) {
            return engine.unload().await;
        }
        seen.push((record.phases, record.server_timings, wall));
    }
    panic!("no answer's figures agree to 1 % or 1 ms: {seen:#?}");
}

#[test]
fn figures_of_an_answer_cut_at_its_limit_are_true() {
    run(ask_until_figures_agree(
        "Explain CUDA in one sentence.",
        48,
        |answer| {
            assert_eq!(answer.usage.completion_tokens, Some(48));
            assert_eq!(answer.finish_reason, Some(FinishReason::Length));
        },
    ));
}

#[test]
fn figures_of_an_answer_that_the_model_ends_are_true() {
    run(ask_until_figures_agree("What is 2+2?", 200, |answer| {
        assert_eq!(
            answer.finish_reason,
            Some(FinishReason::Stop),
            "{}",
            answer.text
        );
        assert!(answer.text.contains('4'), "{}", answer.text);
    }));
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

#[test]
fn the_second_request_on_one_slot_queues_for_what_the_first_has_left() {
    run(async {
        let (engine, kept) = engine_with(|settings| settings.server.parallel = Some(1)).await;
        let mut seen = Vec::new();
        for attempt in 0..ATTEMPTS {
            let long = format!("{attempt}. Once upon a time");
            let mut options = greedy(160);
            options.extra.insert("ignore_eos".into(), true.into());
            let mut first = engine.stream(&long, &options).await.unwrap();
            first
                .next()
                .await
                .unwrap()
                .expect("the only slot is at work");
            let (short, second_options) = (format!("{attempt}. The second"), greedy(4));
            let (first, second) =
                tokio::join!(first.finish(), engine.infer(&short, &second_options));
            let (first, second) = (first.unwrap(), second.unwrap());
            let records = kept.records();
            let record = |answer: &InferResult| {
                let span_id = answer.trace_context.span_id;
                let mut records = records.iter();
                records
                    .find(|record| record.span_id == span_id)
                    .unwrap()
                    .clone()
            };
            let (first, second) = (record(&first), record(&second));
            let first_ends = first.started_at + first.phases.total;
            let left = first_ends.duration_since(second.started_at).unwrap();
            let queue = second.phases.queue.unwrap();
            println!("queue {queue:?}, the first had {left:?} left");
            assert!(
                left > Duration::from_millis(100),
                "the first was still at work"
            );
            if queue.abs_diff(left) <= Duration::from_millis(5) {
                return engine.unload().await;
            }
            seen.push((queue, left));
        }
        panic!("no second request queues for what the first has left: {seen:#?}");
    });
}
