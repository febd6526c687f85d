//! The log is always read, kept, and tells which slot serves which request.

use crate::setup::{PATIENCE, READY, place, start};
use llamatelemetry_api::blocking;
use llamatelemetry_server::LogLevel;
use llamatelemetry_testbed::until;
use serde_json::json;
use std::time::Instant;

#[test]
fn a_flood_of_lines_does_not_stop_a_server() {
    let place = place();
    let spec = place.stub(&format!(
        "flood() {{ awk 'BEGIN {{ for (i = 1; i <= 100000; i++) print \"line\", i, \"of many\" }}'; }}\n\
         flood\nflood >&2\n{READY}\nflood >&2\necho done >&2\nexec sleep 1000"
    ));
    let server = start(&spec);
    let last = until("the end of the flood", PATIENCE, || {
        let lines = server.log_tail();
        lines
            .last()
            .is_some_and(|line| line.text == "done")
            .then_some(lines)
    });
    assert_eq!(last.len(), 200);
    assert_eq!(last[0].text, "line 99802 of many");
}

#[test]
fn a_line_without_an_end_does_not_stop_a_server() {
    let place = place();
    let spec = place.stub(&format!(
        "head -c 5000000 /dev/zero | tr '\\0' x >&2\necho >&2\n{READY}\necho after >&2\nexec sleep 1000"
    ));
    let server = start(&spec);
    let lines = until("both lines", PATIENCE, || {
        Some(server.log_tail()).filter(|lines| lines.len() == 2)
    });
    assert!(lines[0].text.len() < 100_000);
    assert_eq!(lines[1].text, "after");
}

#[test]
fn the_real_log_is_structured_and_names_slots() {
    let place = place();
    let spec = place.real();
    let server = start(&spec);
    let warned = server
        .log_tail()
        .iter()
        .any(|line| line.level == LogLevel::Warn && line.server_micros.is_some());
    assert!(warned, "{:?}", server.log_tail());

    let client = blocking::Client::new(server.address().clone(), None).expect("a client");
    for _ in 0..3 {
        let before = Instant::now();
        let request = json!({"prompt": "Once upon a time", "n_predict": 4, "temperature": 0});
        let answer = client
            .call(
                "POST".parse().expect("a method"),
                "/completion",
                Some(&request),
            )
            .expect("an answer");
        let after = Instant::now();
        let launches = server.wait_slot_launches(before, PATIENCE);
        assert_eq!(launches.len(), 1, "{launches:?}");
        assert_eq!(answer["id_slot"], launches[0].slot);
        assert!(launches[0].at < after, "{launches:?}");
        assert!(!server.log_since(before).is_empty());
    }
}
