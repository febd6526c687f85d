//! Clients of a real server that go away: its slot is free again.

use crate::sink::Kept;
use crate::{gateway_into, wire};
use http::Method;
use llamatelemetry::{FinishReason, RequestRecord};
use llamatelemetry_api::{Address, Client};
use llamatelemetry_record::MarkKind;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Tokens of an answer; that many, with the prompt, fit into a slot.
const TOKENS: u32 = 450;
/// The same after a long prompt.
const TOKENS_AFTER: u32 = 60;

/// Begins a stream.
fn begin(address: SocketAddr, prompt: &str, tokens: u32) -> TcpStream {
    let mut client = wire::connect(address);
    let body = json!({
        "prompt": prompt, "n_predict": tokens, "stream": true, "ignore_eos": true,
    });
    let body = body.to_string();
    write!(
        client,
        "POST /completion HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_free_soon_after_its_client_went_away() {
    let kept = Arc::new(Kept::default());
    let gateway = gateway_into(kept.clone()).await;

    // While it generates.
    let mut client = begin(gateway.address(), "Once upon a time", TOKENS);
    client.read_exact(&mut [0; 2_000]).unwrap();
    drop(client);
    let gone = SystemTime::now();
    let record = kept.wait(1)[0].clone();
    assert_eq!(record.finish_reason, Some(FinishReason::Cancelled));
    assert!(record.deltas > 0 && record.failure.is_none());
    let Released { took, wasted, .. } = released(&record, gone);
    println!("in decode the slot was free after {took:?}, {wasted:?} tokens were wasted");
    // Not at its own end, however slow the machine is.
    let generated = record.deltas + wasted.unwrap();
    assert!(generated < u64::from(TOKENS), "{generated}");

    // While it reads the prompt: llama-server looks for its client after a second without news, and
    // finds out that it has gone with the first word to it.
    let prompt = "many words ".repeat(220);
    let read = prompt_tokens(gateway.address(), &prompt).await;
    let client = begin(gateway.address(), &prompt, TOKENS_AFTER);
    kept.wait_lines("processing task", 2);
    drop(client);
    let gone = SystemTime::now();
    let record = kept.wait(2)[1].clone();
    assert_eq!(record.finish_reason, Some(FinishReason::Cancelled));
    let Released { took, held, .. } = released(&record, gone);
    println!("in prefill the slot was free after {took:?}, {held:?} of {read} tokens held");
    // A whole answer's last token never gets into the context.
    let whole = read + u64::from(TOKENS_AFTER) - 1;
    assert!(held.is_some_and(|held| held < whole), "{held:?} of {whole}");
    gateway.drain(Duration::from_secs(10)).await;
}

async fn prompt_tokens(address: SocketAddr, prompt: &str) -> u64 {
    let client = Client::new(Address::Tcp(address), None);
    let asked = json!({ "content": prompt });
    let told = client.call(Method::POST, "/tokenize", Some(&asked)).await;
    told.unwrap()["tokens"].as_array().unwrap().len() as u64
}

struct Released {
    /// How long after its client went.
    took: Duration,
    /// Tokens that the context held then.
    held: Option<u64>,
    /// Tokens that were generated meanwhile.
    wasted: Option<u64>,
}

/// How a request's slot came free.
fn released(record: &RequestRecord, gone: SystemTime) -> Released {
    let marks = record.marks.iter();
    let mut marks = marks.filter_map(|mark| match mark.kind {
        MarkKind::SlotReleased { tokens, wasted } => Some(Released {
            took: mark.at.duration_since(gone).unwrap_or_default(),
            held: tokens,
            wasted,
        }),
        _ => None,
    });
    marks.next().unwrap()
}
