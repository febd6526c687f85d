//! What a streamed answer pays for being scanned: the time one event of a chat takes.
//!
//! `cargo run --release -p llamatelemetry-record --example scan_cost`

#![expect(clippy::print_stdout, reason = "an example's output")]

use llamatelemetry_record::{Delivery, Endpoint, PhaseClock, StreamScanner};
use std::time::Instant;

const EVENTS: u32 = 200_000;

fn main() {
    let event = |content: &str| {
        format!(
            "data: {{\"choices\":[{{\"finish_reason\":null,\"index\":0,\"delta\":{{{content}}}}}],\
             \"created\":1795364988,\"id\":\"chatcmpl-Jph8tn95D8EMefWWcqWxDCd0xBybNR9j\",\
             \"model\":\"SmolLM2-135M-Instruct.Q4_1.gguf\",\
             \"system_fingerprint\":\"b11434-0123abc\",\"object\":\"chat.completion.chunk\"}}\n\n"
        )
    };
    let cases = [
        ("a word", event(r#""content":" word""#)),
        ("escapes", event(r#""content":"\"\n\u00e9\"""#)),
        (
            "4 KiB",
            event(&format!("\"content\":\"{}\"", "words ".repeat(700))),
        ),
    ];
    for (case, event) in cases {
        let mut scanner = StreamScanner::new(Endpoint::ChatCompletions, PhaseClock::start());
        let now = Instant::now();
        scanner.headers(200, Delivery::Streamed, now);
        for _ in 0..EVENTS {
            scanner.push(event.as_bytes(), now);
        }
        let each = (now.elapsed() / EVENTS).as_nanos();
        println!("{case:10} {:5} bytes {each:6} ns an event", event.len());
    }
}
