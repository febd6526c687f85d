//! What needs a model that sees, hears or decides. None of them is small enough for a test: what is
//! seen here is the real server's refusal, as the typed error that it is.

use super::place::{alphabet, refusal, smollm2};
use llamatelemetry_api::{
    ChatMessage, ChatRequest, ContentPart, DecideRequest, DecisionQuestion, Endpoints as _,
    ImageUrl, MessageContent, TranscriptionRequest,
};
use serde_json::json;

fn speech() -> TranscriptionRequest {
    TranscriptionRequest {
        file: b"RIFF".to_vec(),
        filename: "speech.wav".into(),
        language: Some("en".into()),
        ..TranscriptionRequest::default()
    }
}

#[test]
fn transcribe() {
    let (status, said) = refusal(alphabet(&[]).transcribe(&speech()));
    assert_eq!(status, 501);
    assert!(said.contains("does not support audio"), "{said}");
}

#[test]
fn transcribe_events() {
    let (status, _) = refusal(alphabet(&[]).transcribe_events(&speech()));
    assert_eq!(status, 501);
}

/// There is no stream to cut; a refused one leaves the connection fit for the next question.
#[test]
fn transcribe_events_cut() {
    let server = alphabet(&[]);
    drop(server.transcribe_events(&speech()));
    server.until_idle();
}

#[test]
fn chat_refuses_pictures_without_a_projector() {
    let mut message = ChatMessage::user("");
    message.content = MessageContent::Parts(vec![ContentPart::ImageUrl {
        image_url: ImageUrl {
            url: "data:image/png;base64,aGVsbG8=".into(),
        },
    }]);
    let request = ChatRequest {
        messages: vec![message],
        ..ChatRequest::default()
    };
    let (status, said) = refusal(smollm2(&[]).chat(&request));
    assert!((400..=501).contains(&status), "{status}");
    assert!(said.contains("image"), "{said}");
}

#[test]
fn decide() {
    let question = DecisionQuestion::Noul {
        instructions: json!("Is the customer angry?"),
        criteria: None,
    };
    let request = DecideRequest {
        state: json!("I was charged twice."),
        questions: [("angry".to_owned(), question)].into_iter().collect(),
        ..DecideRequest::default()
    };
    let (status, said) = refusal(alphabet(&[]).decide(&request));
    assert_eq!(status, 501);
    assert!(said.contains("not a decision model"), "{said}");
}
