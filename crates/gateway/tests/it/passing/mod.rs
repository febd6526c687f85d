//! What a client gets through the gateway, and what records are left of it.

mod cancelled;
mod differential;
mod stubbed;

use crate::gateway;
use llamatelemetry_api::{Address, ChatMessage, ChatRequest, Client};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_typed_client_streams_through_it() {
    let gateway = gateway().await;
    let client = Client::new(Address::Tcp(gateway.address()), None);
    let request = ChatRequest {
        messages: vec![ChatMessage::user("Say hello.")],
        max_tokens: Some(8),
        ..ChatRequest::default()
    };
    let mut answer = client.chat_stream(&request, None).await.unwrap();
    let mut text = String::new();
    while let Some(delta) = answer.next().await.unwrap() {
        text.push_str(&delta.text);
    }
    assert!(!text.is_empty());
    gateway.drain(Duration::from_secs(10)).await;
}
