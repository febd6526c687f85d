//! What a good day looks like.

use crate::{engine, greedy, run};
use llamatelemetry::{ChatMessage, GenerateOptions};

#[test]
fn chat_at_temperature_zero_repeats_itself() {
    run(async {
        let (engine, _) = engine().await;
        let question = [ChatMessage::user("Explain CUDA in one sentence.")];
        let first = engine.chat(&question, &greedy(48)).await.unwrap();
        let second = engine.chat(&question, &greedy(48)).await.unwrap();
        assert!(!first.text.is_empty());
        assert_eq!(first.text, second.text);
        assert!(
            second.usage.cached_tokens.unwrap() > 0,
            "{:?}",
            second.usage
        );
        assert!(
            first.slot.is_some(),
            "the slot is known from the launch line"
        );
        engine.unload().await;
    });
}

#[test]
fn infer_sends_the_prompt_as_it_stands() {
    run(async {
        let (engine, _) = engine().await;
        let answer = engine
            .infer("The capital of France is", &greedy(4))
            .await
            .unwrap();
        let document = serde_json::to_value(&answer).unwrap();
        assert_eq!(document["operation"], "text_completion");
        assert!(answer.text.contains("Paris"), "{}", answer.text);
        assert!(answer.slot.is_some(), "the native answer names its slot");
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
