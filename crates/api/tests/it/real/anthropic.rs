//! Chats in the forms of OpenAI's Responses and Anthropic's Messages.

use super::place::{CALL_BEGINS, refusal, smollm2, smollm2_with_tools};
use llamatelemetry_api::{
    Answer, ContentBlock, Endpoints as _, Generation, InputMessage, MessageEvent, MessagesRequest,
    ResponseEventKind, ResponsesInput, ResponsesRequest,
};
use llamatelemetry_record::FinishReason;
use serde_json::json;

const QUESTION: &str = "What is the capital of France?";

fn response() -> ResponsesRequest {
    ResponsesRequest {
        input: QUESTION.into(),
        max_output_tokens: Some(8),
        temperature: Some(0.0),
        ..ResponsesRequest::default()
    }
}

fn message() -> MessagesRequest {
    MessagesRequest {
        messages: vec![InputMessage::user(QUESTION)],
        max_tokens: Some(8),
        temperature: Some(0.0),
        ..MessagesRequest::default()
    }
}

fn endless() -> Generation {
    Generation {
        ignore_eos: Some(true),
        ..Generation::default()
    }
}

/// What the one tool takes.
fn schema() -> serde_json::Value {
    json!({"type": "object", "properties": {"city": {"enum": ["Rome", "Oslo"]}},
        "required": ["city"], "additionalProperties": false})
}

/// Both answers call the tool, and first the same.
#[track_caller]
fn same_call(whole: &Answer, streamed: &Answer) {
    let call = |answer: &Answer| {
        assert!(!answer.tool_calls.is_empty(), "{answer:?}");
        let call = &answer.tool_calls[0];
        assert_eq!(call.name, "weather");
        assert!(!call.id.is_empty());
        serde_json::from_str::<serde_json::Value>(&call.arguments).unwrap()
    };
    assert_eq!(call(whole), call(streamed));
}

#[test]
fn responses() {
    let server = smollm2(&[]);
    let answer = server.responses(&response()).unwrap();
    assert_eq!(answer.status, "completed");
    assert!(!answer.answer().text.is_empty(), "{answer:?}");
    assert_eq!(answer.usage.as_ref().unwrap().output_tokens, 8);

    // The answer's own items lead the conversation on.
    let mut items = vec![json!({"role": "user", "content": QUESTION})];
    items.extend(
        answer
            .output
            .iter()
            .map(|item| serde_json::to_value(item).unwrap()),
    );
    items.push(json!({"role": "user", "content": "And of Spain?"}));
    let next = ResponsesRequest {
        input: ResponsesInput::Items(items),
        ..response()
    };
    assert!(!server.responses(&next).unwrap().answer().text.is_empty());
    let kept = ResponsesRequest {
        extra: [("previous_response_id".to_owned(), json!(answer.id))]
            .into_iter()
            .collect(),
        ..response()
    };
    assert_eq!(refusal(server.responses(&kept)).0, 400);
}

#[test]
fn responses_events() {
    let server = smollm2(&[]);
    let mut stream = server.responses_events(&response()).unwrap();
    let events: Vec<_> = stream.by_ref().map(Result::unwrap).collect();
    assert!(matches!(events[0].kind, ResponseEventKind::Created { .. }));
    assert!(
        events
            .iter()
            .all(|event| !matches!(event.kind, ResponseEventKind::Other(_))
                || serde_json::to_string(event).unwrap().contains("response."))
    );
    let last = events.last().unwrap();
    let ResponseEventKind::Completed { response: whole } = &last.kind else {
        panic!("{last:?}")
    };
    assert!(last.timings.is_some());
    let pieces = events.iter().filter_map(|event| match &event.kind {
        ResponseEventKind::Text { delta, .. } => Some(delta.as_str()),
        _ => None,
    });
    assert_eq!(pieces.collect::<String>(), whole.answer().text);
}

#[test]
fn responses_events_call_tools() {
    let server = smollm2_with_tools();
    let request = ResponsesRequest {
        tools: vec![json!({"type": "function", "name": "weather", "parameters": schema()})],
        tool_choice: Some("required".into()),
        input: ResponsesInput::Items(vec![
            json!({"role": "user", "content": "How is the weather in Rome?"}),
            json!({"role": "assistant", "type": "message",
                "content": [{"type": "output_text", "text": CALL_BEGINS}]}),
        ]),
        max_output_tokens: Some(64),
        ..response()
    };
    let whole = server.responses(&request).unwrap().answer();
    let streamed = server.responses_events(&request).unwrap().deltas();
    same_call(&whole, &streamed.finish().unwrap());
}

#[test]
fn responses_events_cut() {
    let server = smollm2(&[]);
    let request = ResponsesRequest {
        max_output_tokens: Some(1900),
        generation: endless(),
        ..response()
    };
    server.cut(server.responses_events(&request));
}

#[test]
fn messages() {
    let server = smollm2(&[]);
    let answer = server.messages(&message()).unwrap();
    assert_eq!(answer.stop_reason.as_deref(), Some("max_tokens"));
    assert_eq!(answer.usage.output_tokens, 8);
    let said = answer.answer();
    assert_eq!(said.finish_reason, Some(FinishReason::Length));
    assert!(!said.text.is_empty());

    // The answer's own blocks lead the conversation on.
    let next = MessagesRequest {
        messages: vec![
            InputMessage::user(QUESTION),
            InputMessage::assistant(answer.content),
            InputMessage::user("And of Spain?"),
        ],
        system: Some("Be short.".into()),
        ..message()
    };
    let next = server.messages(&next).unwrap();
    assert!(matches!(&next.content[..], [ContentBlock::Text { text }] if !text.is_empty()));
}

#[test]
fn messages_events() {
    let server = smollm2(&[]);
    let mut stream = server.messages_events(&message()).unwrap();
    let events: Vec<_> = stream.by_ref().map(Result::unwrap).collect();
    assert!(matches!(
        events.first(),
        Some(MessageEvent::MessageStart { .. })
    ));
    assert_eq!(events.last(), Some(&MessageEvent::MessageStop));
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, MessageEvent::Other(_)))
    );
    assert_eq!(stream.observed().usage.completion_tokens, Some(8));
    let streamed = server.messages_events(&message()).unwrap().deltas();
    let streamed = streamed.finish().unwrap();
    assert_eq!(
        streamed.text,
        server.messages(&message()).unwrap().answer().text
    );
    assert_eq!(streamed.finish_reason, Some(FinishReason::Length));
}

#[test]
fn messages_events_call_tools() {
    let server = smollm2_with_tools();
    let request = MessagesRequest {
        tools: vec![json!({"name": "weather", "input_schema": schema()})],
        tool_choice: Some(json!({"type": "any"})),
        messages: vec![
            InputMessage::user("How is the weather in Rome?"),
            InputMessage::assistant(CALL_BEGINS),
        ],
        max_tokens: Some(64),
        ..message()
    };
    let whole = server.messages(&request).unwrap().answer();
    let streamed = server.messages_events(&request).unwrap().deltas();
    same_call(&whole, &streamed.finish().unwrap());
}

#[test]
fn messages_events_cut() {
    let server = smollm2(&[]);
    let request = MessagesRequest {
        max_tokens: Some(1900),
        generation: endless(),
        ..message()
    };
    server.cut(server.messages_events(&request));
}
