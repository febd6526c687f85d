//! What a good day looks like.

use crate::{engine, engine_with, greedy, run};
use llamatelemetry::{ChatMessage, EnergyMethod, GenerateOptions};
use llamatelemetry_record::{Energy, OutputType};

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

#[test]
fn energy_is_what_the_sink_says() {
    run(async {
        let (engine, kept) = engine().await;
        kept.measures(Energy {
            joules: 6.0,
            prefill_joules: None,
            decode_joules: Some(4.5),
            error: 0.5,
            method: EnergyMethod::CounterAndPower,
        });
        let answer = engine.infer("One, two,", &greedy(3)).await.unwrap();
        let document = serde_json::to_value(&answer).unwrap();
        let expected = serde_json::json!({
            "joules": 6.0, "joules_per_token": 2.0, "decode_joules": 4.5, "error": 0.5,
            "method": "counter+power",
        });
        assert_eq!(document["energy"], expected);
        engine.unload().await;
    });
}

#[test]
fn a_request_can_be_watched_while_it_runs() {
    run(async {
        let (engine, kept) = engine().await;
        let mut stream = engine.stream("One, two,", &greedy(8)).await.unwrap();
        let live = kept.live()[0].clone();
        assert_eq!(live.span_id, stream.trace_context().span_id);
        assert!(live.progress().slot_started.is_some());
        assert_eq!(live.progress().first_delta, None);
        for deltas in 1..=3 {
            stream.next().await.unwrap().expect("the answer goes on");
            assert_eq!(live.progress().deltas, deltas);
        }
        let progress = live.progress();
        assert!(progress.slot_started < progress.first_delta);
        assert!(progress.first_delta < progress.last_delta);
        stream.finish().await.unwrap();
        assert_eq!(kept.records()[0].deltas, live.progress().deltas);
        engine.unload().await;
    });
}

#[test]
fn what_the_caller_says_of_the_request_is_in_its_record() {
    run(async {
        let (engine, kept) = engine_with(|settings| settings.server.port = Some(0)).await;
        let headers = [
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
            ("tracestate", "vendor=1"),
            ("baggage", "user.id=al%20ice"),
        ];
        let failed = engine
            .infer("One,", &greedy(1))
            .await
            .unwrap()
            .trace_context;
        let options = GenerateOptions {
            conversation_id: Some("c1".into()),
            retry_of: vec![failed],
            json_schema: Some(serde_json::json!({"type": "integer"})),
            ..greedy(2).caused_by(headers)
        };
        engine.infer("A number:", &options).await.unwrap();
        let record = kept.records()[1].clone();
        let parent = record.parent.expect("a parent");
        assert_eq!(record.trace_id, parent.trace_id);
        assert_eq!(parent.span_id.to_string(), "b7ad6b7169203331");
        assert_eq!(record.trace_state.as_ref().unwrap().as_str(), "vendor=1");
        assert_eq!(
            record.baggage,
            [("user.id".to_owned(), "al ice".to_owned())]
        );
        assert_eq!(record.retries_of, [failed]);
        assert_eq!(record.parameters.output, Some(OutputType::Json));
        assert_eq!(record.quantization.as_deref(), Some("Q4_1"));
        let (host, port) = record.server.clone().expect("it listens on TCP");
        assert_eq!(host, "127.0.0.1");
        assert_ne!(port, 0);
        engine.unload().await;
    });
}
