//! Waiting for a slot: the second request's queue is what the first one had left.

use crate::exchange::Answer;
use crate::server::Server;
use llamatelemetry_record::Endpoint;
use serde_json::json;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The second of two requests on one slot, and how long the first still ran when it was sent.
fn second_of_two(server: &Server, number: usize, streamed: bool) -> (Answer, Duration) {
    let long = json!({
        "prompt": format!("{number}. Once upon a time"),
        "n_predict": 160, "ignore_eos": true, "temperature": 0, "stream": true,
    });
    let short = json!({
        "prompt": format!("{number}. The second one"),
        "n_predict": 4, "ignore_eos": true, "temperature": 0, "stream": streamed,
    });
    thread::scope(|scope| {
        let (started, first_started) = mpsc::sync_channel(1);
        let first = scope.spawn(move || {
            server.ask_telling(Endpoint::NativeCompletion, &long, &mut || {
                started.try_send(()).expect("somebody waits for it");
            })
        });
        first_started
            .recv_timeout(Duration::from_secs(60))
            .expect("the first request's answer has begun");
        let second = server.ask(Endpoint::NativeCompletion, &short);
        let first = first.join().expect("the first request");
        let left = (first.sent + first.observed.phases.total).duration_since(second.sent);
        (second, left)
    })
}

#[test]
fn queue_is_the_time_spent_waiting_for_a_slot() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    for streamed in [true, false] {
        let mut seen = Vec::new();
        // A busy machine delays: it never brings an answer forward.
        let agreed = (0..20).any(|number| {
            let (second, left) = second_of_two(&server, number, streamed);
            let queue = second.observed.phases.queue.expect("a queue phase");
            assert!(
                left > Duration::from_millis(100),
                "the first one was still at work"
            );
            let difference = queue.abs_diff(left);
            println!("streamed {streamed}: queue {queue:?}, the first had {left:?} left");
            seen.push((queue, left));
            // Between the two the server lets the slot go and takes the next request up.
            difference <= Duration::from_millis(3).max(left / 100)
        });
        assert!(agreed, "{seen:?}");
    }
}
