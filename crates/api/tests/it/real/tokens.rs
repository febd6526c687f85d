//! Tokens: of a text, of a conversation, and back.

use super::place::{alphabet, smollm2};
use llamatelemetry_api::{
    ChatMessage, ChatRequest, Endpoints as _, InputMessage, MessagesRequest, Piece,
    ResponsesRequest, TokenizeRequest,
};

const QUESTION: &str = "Name one colour.";

fn chat() -> ChatRequest {
    ChatRequest {
        messages: vec![ChatMessage::user(QUESTION)],
        ..ChatRequest::default()
    }
}

#[test]
fn tokenize() {
    let server = alphabet(&[]);
    let text = TokenizeRequest::new("aé");
    let tokens = server.tokenize(&text).unwrap();
    // Three tokens stand before the bytes; é has two, which are no characters.
    assert_eq!(tokens.ids(), [3 + 0x61, 3 + 0xc3, 3 + 0xa9]);
    assert_eq!(tokens.tokens[0].piece, Piece::Text("a".into()));
    assert_eq!(tokens.tokens[1].piece.as_bytes(), [0xc3]);

    let begun = TokenizeRequest {
        add_special: Some(true),
        ..text
    };
    assert_eq!(server.tokenize(&begun).unwrap().ids()[0], 1);
}

#[test]
fn detokenize() {
    let server = smollm2(&[]);
    let text = "Grüße, 世界! 🦙";
    let tokens = server.tokenize(&TokenizeRequest::new(text)).unwrap();
    let back = server.detokenize(&tokens.ids().into()).unwrap();
    assert_eq!(back.content, text);
}

#[test]
fn apply_template() {
    let server = smollm2(&[]);
    let prompt = server.apply_template(&chat()).unwrap().prompt;
    assert!(prompt.contains(QUESTION), "{prompt}");
    assert!(prompt.ends_with("<|im_start|>assistant\n"), "{prompt}");
}

#[test]
fn chat_tokens() {
    let server = smollm2(&[]);
    let counted = server.chat_tokens(&chat()).unwrap().input_tokens;
    // The count is that of the answer itself.
    let asked = ChatRequest {
        max_tokens: Some(1),
        ..chat()
    };
    let usage = server.chat(&asked).unwrap().usage.unwrap();
    assert_eq!(counted, usage.prompt_tokens);
}

#[test]
fn responses_tokens() {
    let server = smollm2(&[]);
    let request = ResponsesRequest {
        input: QUESTION.into(),
        ..ResponsesRequest::default()
    };
    let counted = server.responses_tokens(&request).unwrap().input_tokens;
    assert_eq!(counted, server.chat_tokens(&chat()).unwrap().input_tokens);
}

#[test]
fn messages_tokens() {
    let server = smollm2(&[]);
    let request = MessagesRequest {
        messages: vec![InputMessage::user(QUESTION)],
        ..MessagesRequest::default()
    };
    let counted = server.messages_tokens(&request).unwrap().input_tokens;
    assert_eq!(counted, server.chat_tokens(&chat()).unwrap().input_tokens);
}
