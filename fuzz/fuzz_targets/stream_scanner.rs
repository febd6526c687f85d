//! Any bytes pass the scanner: it never panics, and what it sees does not depend on where the bytes
//! are cut.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use llamatelemetry_record::{Delivery, Endpoint, Observed, PhaseClock, StreamScanner};
use std::time::{Duration, Instant};

#[derive(Arbitrary, Debug)]
struct Answer<'a> {
    endpoint: u8,
    streamed: bool,
    failed: bool,
    cut: u16,
    bytes: &'a [u8],
}

fuzz_target!(|answer: Answer<'_>| {
    let whole = scan(&answer, &[answer.bytes]);
    let (head, tail) = answer
        .bytes
        .split_at(usize::from(answer.cut) % (answer.bytes.len() + 1));
    let cut = scan(&answer, &[head, tail]);
    let seen = |observed: &Observed| {
        (
            observed.usage,
            observed.finish_reason.clone(),
            observed.response_id.clone(),
            observed.model.clone(),
            observed.slot,
            observed.error.clone(),
            observed.complete,
        )
    };
    assert_eq!(seen(&whole), seen(&cut));
    assert!(!(whole.complete && whole.error.is_some()));
    assert!(!(answer.failed && whole.complete));
    let phases = cut.phases;
    let known = [phases.queue, phases.prefill, phases.decode]
        .into_iter()
        .flatten()
        .sum::<Duration>();
    // The server's own times may be anything; those of the stream fit into the total.
    if answer.streamed {
        assert!(known <= phases.total);
    }
});

fn scan(answer: &Answer<'_>, pieces: &[&[u8]]) -> Observed {
    let endpoints = [
        Endpoint::ChatCompletions,
        Endpoint::Completions,
        Endpoint::NativeCompletion,
        Endpoint::Responses,
        Endpoint::Messages,
        Endpoint::Embeddings,
        Endpoint::Rerank,
    ];
    let endpoint = endpoints[usize::from(answer.endpoint) % endpoints.len()];
    let clock = PhaseClock::start();
    let mut at: Instant = clock.sent();
    let mut scanner = StreamScanner::new(endpoint, clock);
    let delivery = if answer.streamed {
        Delivery::Streamed
    } else {
        Delivery::Whole
    };
    scanner.headers(if answer.failed { 500 } else { 200 }, delivery, at);
    for piece in pieces {
        at += Duration::from_millis(1);
        scanner.push(piece, at);
    }
    scanner.finish(at + Duration::from_millis(1))
}
