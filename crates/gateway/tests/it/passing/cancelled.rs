//! Clients of a real server that go away: its slot is free again.

use crate::sink::Kept;
use crate::{gateway_into, wire};
use llamatelemetry::FinishReason;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Sends a request and goes away once so much of the answer is here; returns when.
fn go_away(address: std::net::SocketAddr, body: &str, after: usize) -> SystemTime {
    let mut client = wire::connect(address);
    write!(
        client,
        "POST /completion HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    client.read_exact(&mut vec![0; after]).unwrap();
    drop(client);
    SystemTime::now()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_free_soon_after_its_client_went_away() {
    let kept = Arc::new(Kept::default());
    let gateway = gateway_into(kept.clone()).await;
    let body = r#"{"prompt":"Once upon a time","n_predict":900,"stream":true,"ignore_eos":true}"#;
    let gone = go_away(gateway.address(), body, 2_000);
    let released = kept.wait_line("stop processing");
    let record = kept.wait(1)[0].clone();
    assert_eq!(record.finish_reason, Some(FinishReason::Cancelled));
    assert!(record.deltas > 0 && record.failure.is_none());
    assert_eq!(record.slot.is_some(), !record.marks.is_empty());
    let took = released.at.duration_since(gone).unwrap_or_default();
    println!("the slot was free {took:?} after its client went away");
    // A token on a busy machine takes its time.
    assert!(took < Duration::from_secs(2), "{took:?}");
    gateway.drain(Duration::from_secs(10)).await;
}
