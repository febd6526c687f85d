//! Clients of a real server that go away: its slot is free again.

use crate::sink::Kept;
use crate::{gateway_into, wire};
use llamatelemetry::{FinishReason, RequestRecord};
use llamatelemetry_record::MarkKind;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

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
    let mut client = begin(gateway.address(), "Once upon a time", 450);
    client.read_exact(&mut [0; 2_000]).unwrap();
    drop(client);
    let gone = SystemTime::now();
    let record = kept.wait(1)[0].clone();
    assert_eq!(record.finish_reason, Some(FinishReason::Cancelled));
    assert!(record.deltas > 0 && record.failure.is_none());
    let (took, wasted) = released(&record, gone);
    println!("in decode the slot was free after {took:?}, {wasted:?} tokens were wasted");
    // A token on a busy machine takes its time.
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(wasted.is_some_and(|wasted| wasted < 100), "{wasted:?}");

    // While it reads the prompt: llama-server looks for its client after a second without news.
    let client = begin(gateway.address(), &"many words ".repeat(220), 40);
    kept.wait_lines("processing task", 2);
    drop(client);
    let gone = SystemTime::now();
    let record = kept.wait(2)[1].clone();
    assert_eq!(record.finish_reason, Some(FinishReason::Cancelled));
    let (took, _) = released(&record, gone);
    println!("in prefill the slot was free after {took:?}");
    gateway.drain(Duration::from_secs(10)).await;
}

/// How long after its client a request's slot was free, and what was generated meanwhile.
fn released(record: &RequestRecord, gone: SystemTime) -> (Duration, Option<u64>) {
    let marks = record.marks.iter();
    let mut marks = marks.filter_map(|mark| match mark.kind {
        MarkKind::SlotReleased { wasted, .. } => Some((mark.at, wasted)),
        _ => None,
    });
    let (at, wasted) = marks.next().unwrap();
    (at.duration_since(gone).unwrap_or_default(), wasted)
}
