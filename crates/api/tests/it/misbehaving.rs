//! The client against a server that misbehaves exactly as told.

use crate::wire::{self, Script, chat_event, event_stream, json, serve};
use llamatelemetry_api::{
    Address, ApiError, ChatMessage, ChatRequest, Completion, Endpoints as _, blocking,
};
use llamatelemetry_record::{FinishReason, TimingSource};
use std::time::Duration;

fn question() -> ChatRequest {
    ChatRequest {
        messages: vec![ChatMessage::user("hi")],
        ..ChatRequest::default()
    }
}

fn client(script: Vec<Script>) -> (blocking::Client, wire::Served) {
    let served = serve(script);
    let client = blocking::Client::new(Address::Tcp(served.address), None).unwrap();
    (client, served)
}

#[test]
fn only_what_was_set_is_sent_and_zero_stays_zero() {
    let done = chat_event(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#);
    let (client, served) = client(vec![Script::Reply(event_stream(&[&done]))]);
    let request = ChatRequest {
        temperature: Some(0.0),
        ..question()
    };
    let answer = client.chat_stream(&request, None).unwrap();
    assert_eq!(answer.count(), 0);
    let sent: serde_json::Value = serde_json::from_str(&served.requests()[0].body).unwrap();
    let expected = serde_json::json!({
        "stream": true,
        "messages": [{ "role": "user", "content": "hi" }],
        "temperature": 0.0,
    });
    assert_eq!(sent, expected);
}

#[test]
fn deltas_come_in_order_and_the_first_event_is_no_token() {
    let role =
        chat_event(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}"#);
    let one = chat_event(r#"{"choices":[{"index":0,"delta":{"content":"Hel"}}]}"#);
    let two = chat_event(r#"{"choices":[{"index":0,"delta":{"content":"lo"}}]}"#);
    let end = chat_event(
        r#"{"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"length"}],
            "timings":{"cache_n":4,"prompt_n":6,"prompt_ms":3.0,"predicted_n":2,"predicted_ms":5.0}}"#
            .replace('\n', "")
            .as_str(),
    );
    let (client, _served) = client(vec![Script::Reply(event_stream(&[
        &role, &one, &two, &end,
    ]))]);
    let mut answer = client.chat_stream(&question(), None).unwrap();
    let text: String = answer.by_ref().map(|delta| delta.unwrap().text).collect();
    let outcome = answer.observed();
    assert_eq!(text, "Hello");
    assert_eq!(outcome.finish_reason, Some(FinishReason::Length));
    assert_eq!(outcome.usage.prompt_tokens, Some(10));
    assert_eq!(outcome.usage.cached_tokens, Some(4));
    assert_eq!(outcome.usage.completion_tokens, Some(2));
    assert_eq!(outcome.phases.source, TimingSource::Stream);
    assert_eq!(outcome.response_id.as_deref(), Some("chatcmpl-1"));
}

#[test]
fn a_connection_closed_while_idle_is_not_the_callers_problem() {
    let (client, served) = client(vec![
        // Promises to keep the connection and closes it once the next request arrives.
        Script::ReplyThenCloseOnNext(json(200, r#"{"data":[]}"#)),
        Script::Reply(json(200, r#"{"data":[]}"#)),
    ]);
    client.models().unwrap();
    client.models().unwrap();
    assert_eq!(served.connections(), 2);
}

#[test]
fn a_connection_is_used_again() {
    let (client, served) = client(vec![
        Script::Reply(json(200, r#"{"data":[]}"#)),
        Script::Reply(json(200, r#"{"data":[]}"#)),
    ]);
    client.models().unwrap();
    client.models().unwrap();
    assert_eq!(served.connections(), 1);
}

#[test]
fn a_refusal_keeps_what_the_server_said() {
    let body = r#"{"error":{"code":400,"message":"no such slot","type":"invalid_request_error"}}"#;
    let (client, _served) = client(vec![Script::Reply(json(400, body))]);
    let error = client.chat_stream(&question(), None).unwrap_err();
    assert_eq!(error.kind(), "invalid_request_error");
    assert_eq!(
        error.to_string(),
        "llama-server answered /v1/chat/completions with 400: no such slot"
    );
    let ApiError::Refused { complaint, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(complaint.body, body);
}

#[test]
fn an_error_event_ends_the_stream_with_the_servers_words() {
    let one = chat_event(r#"{"choices":[{"index":0,"delta":{"content":"Hel"}}]}"#);
    let bad =
        chat_event(r#"{"error":{"code":500,"message":"context is full","type":"server_error"}}"#);
    let (client, _served) = client(vec![Script::Reply(event_stream(&[&one, &bad]))]);
    let mut answer = client.chat_stream(&question(), None).unwrap();
    assert_eq!(answer.next().unwrap().unwrap().text, "Hel");
    let error = answer.next().unwrap().unwrap_err();
    assert_eq!(error.kind(), "server_error");
    assert!(answer.next().is_none(), "a failed stream has ended");
}

#[test]
fn a_stream_cut_short_is_an_error_and_no_answer() {
    let one = chat_event(r#"{"choices":[{"index":0,"delta":{"content":"Hel"}}]}"#);
    for script in [
        // The last chunk is missing.
        Script::ReplyThenClose(event_stream(&[&one]).trim_end_matches("0\r\n\r\n").into()),
        // The stream is whole HTTP, but the answer has no finish reason.
        Script::Reply(event_stream(&[&one])),
    ] {
        let (client, _served) = client(vec![script]);
        let mut answer = client.chat_stream(&question(), None).unwrap();
        assert_eq!(answer.next().unwrap().unwrap().text, "Hel");
        let error = answer.next().unwrap().unwrap_err();
        assert!(matches!(error, ApiError::Broken { .. }), "{error:?}");
        assert_eq!(answer.observed().finish_reason, None);
    }
}

#[test]
fn nonsense_is_a_typed_error() {
    let (client, _served) = client(vec![
        Script::Reply(event_stream(&["data: {nonsense\n\n"])),
        Script::Reply(json(200, "[]")),
    ]);
    let mut answer = client.chat_stream(&question(), None).unwrap();
    assert!(matches!(
        answer.next(),
        Some(Err(ApiError::Unexpected { .. }))
    ));
    assert!(matches!(client.props(), Err(ApiError::Unexpected { .. })));
}

#[test]
fn nobody_there_is_a_typed_error() {
    let missing = Address::Unix("/nonexistent/llama.sock".into());
    let client = blocking::Client::new(missing, None).unwrap();
    let error = client.props().unwrap_err();
    assert!(error.is_disconnect());
    assert_eq!(
        error.to_string(),
        "cannot connect to llama-server at unix:///nonexistent/llama.sock"
    );
}

#[test]
fn dropping_a_stream_closes_its_connection_at_once() {
    let one = chat_event(r#"{"choices":[{"index":0,"delta":{"content":"Hel"}}]}"#);
    let endless = event_stream(&[&one])
        .trim_end_matches("0\r\n\r\n")
        .to_owned();
    let (client, served) = client(vec![Script::ReplyThenWaitForClose(endless)]);
    let mut answer = client.chat_stream(&question(), None).unwrap();
    assert_eq!(answer.next().unwrap().unwrap().text, "Hel");
    drop(answer);
    // No further call runs the client's runtime.
    served.wait_for_close();
}

/// A chain of two: asked for from the middle, cut, and asked for where it was cut.
#[test]
fn a_stream_from_the_middle_goes_on_where_it_was_cut_and_has_its_time_again() {
    const LIMIT: Duration = Duration::from_secs(2);
    let one = chat_event(r#"{"content":"one","stop":false}"#);
    let two = chat_event(r#"{"content":"two","stop":true,"stop_type":"limit"}"#);
    let cut = event_stream(&[&one]);
    let cut = cut.trim_end_matches("0\r\n\r\n").to_owned();
    let (client, served) = client(vec![
        // Then nothing comes until the time is over.
        Script::ReplyThenWaitForClose(cut),
        Script::Reply(event_stream(&[&two])),
    ]);
    let client = client.within(LIMIT);
    let mut stream = client.resume::<Completion>("letters", 100).unwrap();
    assert_eq!(stream.next().unwrap().unwrap().content, "one");
    let error = stream.next().unwrap().unwrap_err();
    assert!(matches!(error, ApiError::TimedOut { .. }), "{error:?}");
    stream.resume(&client, "letters").unwrap();
    assert_eq!(stream.next().unwrap().unwrap().content, "two");
    let next = 100 + one.len();
    let requests = served.requests();
    let targets: Vec<&str> = requests.iter().map(|of| of.target.as_str()).collect();
    assert!(targets[0].ends_with("from=100"), "{targets:?}");
    assert!(targets[1].ends_with(&format!("from={next}")), "{targets:?}");
}
