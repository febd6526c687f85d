//! What a good day looks like.

use crate::{engine, run};
use llamatelemetry::{ChatMessage, FinishReason, GenerateOptions, RequestRecord};
use std::time::{Duration, Instant};

fn greedy(max_tokens: u64) -> GenerateOptions {
    GenerateOptions {
        max_tokens: Some(max_tokens),
        temperature: Some(0.0),
        ..GenerateOptions::default()
    }
}

/// Within 1 % or 1 ms, whichever is more.
fn agree(what: &str, ours: Duration, theirs: Duration) {
    let room = Duration::from_millis(1).max(theirs / 100);
    let apart = ours.abs_diff(theirs);
    assert!(apart <= room, "{what}: {ours:?} here, {theirs:?} there");
}

/// The phases that were seen from outside, against what the server says of itself.
fn figures_hold_together(record: &RequestRecord) {
    let phases = record.phases;
    let server = record
        .server_timings
        .expect("llama-server states its timings");
    agree(
        "prefill",
        phases.prefill.unwrap(),
        server.prefill().unwrap(),
    );
    agree("decode", phases.decode.unwrap(), server.decode().unwrap());
    let sum = phases.queue.unwrap() + phases.prefill.unwrap() + phases.decode.unwrap();
    agree("the phases' sum", sum, phases.total);
}

#[test]
fn chat_at_temperature_zero_repeats_itself_and_its_figures_are_true() {
    run(async {
        let (engine, kept) = engine().await;
        let question = [ChatMessage::user("Explain CUDA in one sentence.")];
        let started = Instant::now();
        let first = engine.chat(&question, &greedy(48)).await.unwrap();
        let wall = started.elapsed();
        let second = engine.chat(&question, &greedy(48)).await.unwrap();
        assert!(!first.text.is_empty());
        assert_eq!(first.text, second.text);
        assert_eq!(first.usage.completion_tokens, Some(48));
        assert_eq!(first.finish_reason, Some(FinishReason::Length));
        assert!(
            second.usage.cached_tokens.unwrap() > 0,
            "{:?}",
            second.usage
        );
        assert!(
            first.slot.is_some(),
            "the slot is known from the launch line"
        );

        let records = kept.records();
        assert_eq!(records.len(), 2);
        agree("wall time", records[0].phases.total, wall);
        records
            .iter()
            .for_each(|record| figures_hold_together(record));
        engine.unload().await;
    });
}

#[test]
fn an_answer_that_the_model_ends_has_true_figures_too() {
    run(async {
        let (engine, kept) = engine().await;
        let question = [ChatMessage::user("What is the capital of France?")];
        let answer = engine.chat(&question, &greedy(200)).await.unwrap();
        assert_eq!(
            answer.finish_reason,
            Some(FinishReason::Stop),
            "{}",
            answer.text
        );
        assert!(answer.text.contains("Paris"), "{}", answer.text);
        figures_hold_together(&kept.records()[0]);
        engine.unload().await;
    });
}

#[test]
fn infer_sends_the_prompt_as_it_stands() {
    run(async {
        let (engine, kept) = engine().await;
        let answer = engine
            .infer("The capital of France is", &greedy(4))
            .await
            .unwrap();
        let document = serde_json::to_value(&answer).unwrap();
        assert_eq!(document["operation"], "text_completion");
        assert!(answer.text.contains("Paris"), "{}", answer.text);
        assert!(answer.slot.is_some(), "the native answer names its slot");
        figures_hold_together(&kept.records()[0]);
        engine.unload().await;
    });
}

#[test]
fn the_result_is_the_documented_document() {
    run(async {
        let (engine, _) = engine().await;
        let answer = engine.infer("One, two,", &greedy(2)).await.unwrap();
        let document = serde_json::to_value(&answer).unwrap();
        let keys: Vec<&str> = document
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let expected = "schema_version text reasoning tool_calls operation model finish_reason \
                        slot usage timings energy trace_id model_sha256 llama_build";
        assert_eq!(keys.join(" "), expected);
        let timings: Vec<&str> = document["timings"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let expected = "queue_ms ttft_ms prefill_ms decode_ms total_ms prompt_per_second \
                        decode_per_second source";
        assert_eq!(timings.join(" "), expected);
        assert!(document["energy"].is_null(), "unknown is null, never 0");
        assert_eq!(document["trace_id"].as_str().unwrap().len(), 32);
        engine.unload().await;
    });
}

#[test]
fn a_json_schema_binds_the_answer() {
    run(async {
        let (engine, _) = engine().await;
        let schema = serde_json::json!({
            "type": "object",
            "properties": { "city": { "type": "string", "maxLength": 20 } },
            "required": ["city"],
            "additionalProperties": false,
        });
        let options = GenerateOptions {
            json_schema: Some(schema),
            ..greedy(64)
        };
        let question = [ChatMessage::user("Name a city in France.")];
        let answer = engine.chat(&question, &options).await.unwrap();
        let document: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
        assert!(document["city"].is_string(), "{document}");
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
