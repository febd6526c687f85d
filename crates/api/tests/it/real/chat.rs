//! Chats in OpenAI's form.

use super::place::{CALL_BEGINS, refusal, smollm2, smollm2_with_tools};
use llamatelemetry_api::{
    Answer, ChatMessage, ChatRequest, ControlRequest, Endpoints as _, Generation, ResponseFormat,
    StreamOptions,
};
use llamatelemetry_record::FinishReason;
use serde_json::json;

fn ask(question: &str) -> ChatRequest {
    ChatRequest {
        messages: vec![ChatMessage::user(question)],
        max_tokens: Some(8),
        temperature: Some(0.0),
        ..ChatRequest::default()
    }
}

/// An answer that does not end by itself before it is cut.
fn endless() -> ChatRequest {
    ChatRequest {
        max_tokens: Some(1900),
        generation: Generation {
            ignore_eos: Some(true),
            ..Generation::default()
        },
        ..ask("Tell me a long story.")
    }
}

#[test]
fn chat() {
    let server = smollm2(&["--parallel", "2"]);
    let request = ChatRequest {
        logprobs: Some(true),
        top_logprobs: Some(3),
        n: Some(2),
        ..ask("What is the capital of France?")
    };
    let answer = server.chat(&request).unwrap();
    assert_eq!(answer.choices.len(), 2);
    let logprobs = answer.choices[0].logprobs.as_ref().unwrap();
    assert_eq!(logprobs.content.len(), 8);
    assert!(
        logprobs
            .content
            .iter()
            .all(|token| token.top_logprobs.len() == 3)
    );
    assert_eq!(answer.usage.as_ref().unwrap().completion_tokens, Some(8));
    assert!(answer.timings.is_some());
    let said = answer.answer();
    assert_eq!(said.finish_reason, Some(FinishReason::Length));
    assert!(!said.text.is_empty());
}

#[test]
fn chat_holds_to_a_schema() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}},
        "required": ["city"], "additionalProperties": false});
    let request = ChatRequest {
        response_format: Some(ResponseFormat::schema(&schema)),
        max_tokens: Some(64),
        ..ask("What is the capital of France? Answer in JSON.")
    };
    let said = smollm2(&[]).chat(&request).unwrap().answer().text;
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert!(
        said["city"].is_string() && said.as_object().unwrap().len() == 1,
        "{said}"
    );
}

/// A tool that the model must call.
fn with_tool() -> ChatRequest {
    ChatRequest {
        tools: vec![json!({"type": "function", "function": {
            "name": "weather",
            "description": "The weather in a city",
            "parameters": {"type": "object", "properties": {"city": {"enum": ["Rome", "Oslo"]}},
                "required": ["city"], "additionalProperties": false},
        }})],
        tool_choice: Some("required".into()),
        messages: vec![
            ChatMessage::user("How is the weather in Rome?"),
            ChatMessage::assistant(CALL_BEGINS),
        ],
        max_tokens: Some(64),
        ..ask("")
    }
}

/// The cities that the answer's calls ask for.
#[track_caller]
fn cities(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.finish_reason, Some(FinishReason::ToolCalls));
    let cities = answer.tool_calls.iter().map(|call| {
        assert_eq!(call.name, "weather");
        assert!(!call.id.is_empty());
        let arguments: serde_json::Value = serde_json::from_str(&call.arguments).unwrap();
        arguments["city"].as_str().unwrap().to_owned()
    });
    let cities: Vec<_> = cities.collect();
    assert!(!cities.is_empty(), "{answer:?}");
    cities
}

#[test]
fn chat_calls_tools() {
    let server = smollm2_with_tools();
    let request = with_tool();
    let mut answer = server.chat(&request).unwrap();
    let whole = answer.answer();
    let streamed = server
        .chat_events(&request)
        .unwrap()
        .deltas()
        .finish()
        .unwrap();
    assert_eq!(cities(&whole), cities(&streamed));

    // The conversation goes on with the tool's answer.
    let mut messages = request.messages[..1].to_vec();
    messages.push(answer.choices.remove(0).message.into());
    messages.push(ChatMessage::tool(
        &whole.tool_calls[0].id,
        "22 degrees, sunny",
    ));
    let next = ChatRequest {
        messages,
        ..ask("")
    };
    assert!(!server.chat(&next).unwrap().answer().text.is_empty());
}

#[test]
fn chat_keeps_reasoning_apart() {
    let server = smollm2_with_tools();
    // The model does not reason by itself: a grammar has it think before it answers.
    let request = ChatRequest {
        max_tokens: Some(64),
        generation: Generation {
            grammar: Some(r#"root ::= "<think>\nhm\n</think>\n\nyes""#.into()),
            ..Generation::default()
        },
        ..ask("Do you think?")
    };
    let whole = server.chat(&request).unwrap().answer();
    let streamed = server
        .chat_events(&request)
        .unwrap()
        .deltas()
        .finish()
        .unwrap();
    for answer in [whole, streamed] {
        assert_eq!(
            (answer.reasoning.trim(), answer.text.as_str()),
            ("hm", "yes")
        );
    }
}

#[test]
fn chat_events() {
    let server = smollm2(&[]);
    let request = ChatRequest {
        stream_options: Some(StreamOptions {
            include_usage: true,
        }),
        ..ask("What is the capital of France?")
    };
    let mut stream = server.chat_events(&request).unwrap();
    let events: Vec<_> = stream.by_ref().map(Result::unwrap).collect();
    assert_eq!(
        events[0].choices[0].delta.role.as_deref(),
        Some("assistant")
    );
    let text: String = events
        .iter()
        .flat_map(|event| &event.choices)
        .filter_map(|choice| choice.delta.content.as_deref())
        .collect();
    assert_eq!(text, server.chat(&request).unwrap().answer().text);
    let last = events.last().unwrap();
    assert!(last.choices.is_empty() && last.timings.is_some());
    assert_eq!(last.usage.as_ref().unwrap().completion_tokens, Some(8));
    assert_eq!(stream.observed().finish_reason, Some(FinishReason::Length));
}

#[test]
fn chat_events_cut() {
    let server = smollm2(&[]);
    server.cut(server.chat_events(&endless()));
}

#[test]
fn chat_control() {
    let server = smollm2(&[]);
    // Nothing of that id is being answered.
    let gone = server.chat_control(&ControlRequest::end_reasoning("chatcmpl-none"));
    assert!(!gone.unwrap().success);
    // What is answered does not reason: the server says so.
    let mut stream = server.chat_events(&endless()).unwrap();
    let id = stream.next().unwrap().unwrap().id;
    let done = server
        .chat_control(&ControlRequest::end_reasoning(id))
        .unwrap();
    assert!(!done.success);
    assert!(done.extra["message"].is_string(), "{done:?}");
    assert_eq!(
        refusal(server.chat_control(&ControlRequest::end_reasoning(""))).0,
        400
    );
}
