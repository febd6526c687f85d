//! Every row of the table against the server's own account.

use crate::exchange::Answer;
use crate::server::{Logged, Server};
use llamatelemetry_record::{
    Delivery, Endpoint, FinishReason, PHASE_SOURCES, PhaseRow, PhaseSource, Shown, TimingSource,
};
use serde_json::{Value, json};
use std::time::Duration;

/// How an answer is made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Length,
    EndOfText,
}

/// A request that no earlier one shares a prefix with, so that nothing comes from the cache.
fn request(row: &PhaseRow, ending: Ending, number: usize) -> Value {
    let words = "the server states how long it took to read these words and to go on ".repeat(6);
    let (text, tokens) = match ending {
        Ending::Length => (format!("{number}. {words}"), 32),
        Ending::EndOfText => (format!("{number} + 1 = ? Answer with one number."), 400),
    };
    let messages = json!([{"role": "user", "content": text}]);
    let mut body = match row.endpoint {
        Endpoint::ChatCompletions | Endpoint::Messages => {
            json!({"messages": messages, "max_tokens": tokens})
        }
        Endpoint::Completions => json!({"prompt": text, "max_tokens": tokens}),
        Endpoint::NativeCompletion => json!({"prompt": text, "n_predict": tokens}),
        Endpoint::Responses => json!({"input": text, "max_output_tokens": tokens}),
        Endpoint::Embeddings | Endpoint::Rerank => panic!("generates nothing"),
    };
    body["temperature"] = json!(0);
    body["ignore_eos"] = json!(ending == Ending::Length);
    body["stream"] = json!(row.delivery == Delivery::Streamed);
    body
}

fn rows() -> impl Iterator<Item = &'static PhaseRow> {
    PHASE_SOURCES
        .iter()
        .filter(|row| !matches!(row.endpoint, Endpoint::Embeddings | Endpoint::Rerank))
}

fn milliseconds(time: Option<Duration>) -> f64 {
    time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

/// Within 1 ms or 1 %.
fn agrees(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= f64::max(1.0, theirs * 0.01)
}

/// The phases that one row promises against the server's own; `Err` says how they differ.
fn compare(row: &PhaseRow, answer: &Answer, logged: Logged) -> Result<(), String> {
    let phases = answer.observed.phases;
    let line = format!(
        "{} {}: queue {:.3} prefill {:.3} ({:.3}) decode {:.3} ({:.3}) total {:.3} wall {:.3} ms",
        row.endpoint.path(),
        row.delivery.as_str(),
        milliseconds(phases.queue),
        milliseconds(phases.prefill),
        logged.prompt,
        milliseconds(phases.decode),
        logged.eval,
        milliseconds(Some(phases.total)),
        milliseconds(Some(answer.wall)),
    );
    let timed = row.prefill != PhaseSource::NotShown;
    let close = !timed
        || agrees(milliseconds(phases.prefill), logged.prompt)
            && agrees(milliseconds(phases.decode), logged.eval);
    // What the server did not spend is queue and the way there and back: nobody waited.
    let rest = milliseconds(Some(phases.total)) - logged.prompt - logged.eval;
    if close && rest > -1.0 {
        Ok(())
    } else {
        Err(line)
    }
}

/// What does not depend on how busy the machine is.
fn check_facts(row: &PhaseRow, answer: &Answer, ending: Ending) {
    let observed = &answer.observed;
    let row_name = format!("{} {}", row.endpoint.path(), row.delivery.as_str());
    assert_eq!(answer.status, 200, "{row_name}");
    assert_eq!(answer.delivery, row.delivery, "{row_name}");
    assert!(observed.complete, "{row_name}");
    assert_eq!(observed.error, None, "{row_name}");
    let phases = observed.phases;
    for (phase, source) in [
        (phases.queue, row.queue),
        (phases.prefill, row.prefill),
        (phases.decode, row.decode),
    ] {
        let shown = source != PhaseSource::NotShown;
        assert_eq!(phase.is_some(), shown, "{row_name}: {source:?}");
    }
    let source = match row.prefill {
        PhaseSource::Stream => TimingSource::Stream,
        PhaseSource::ServerTimings => TimingSource::ServerTimings,
        PhaseSource::Remainder | PhaseSource::NotShown => TimingSource::Wall,
    };
    assert_eq!(phases.source, source, "{row_name}");
    if let (Some(queue), Some(prefill), Some(decode)) =
        (phases.queue, phases.prefill, phases.decode)
    {
        assert_eq!(queue + prefill + decode, phases.total, "{row_name}");
    }
    assert_eq!(
        observed.timings.is_some(),
        row.shows(Shown::Timings),
        "{row_name}"
    );
    assert_eq!(
        observed.slot.is_some(),
        row.shows(Shown::Slot),
        "{row_name}"
    );
    let expected = match ending {
        Ending::Length => FinishReason::Length,
        Ending::EndOfText => FinishReason::Stop,
    };
    let reason = row.shows(Shown::FinishReason).then_some(expected);
    assert_eq!(observed.finish_reason, reason, "{row_name}");
    let usage = observed.usage;
    assert!(
        usage.prompt_tokens.is_some_and(|count| count > 10),
        "{row_name}"
    );
    assert_eq!(
        usage.cached_tokens.is_some(),
        row.shows(Shown::CachedTokens),
        "{row_name}"
    );
    assert!(
        usage.completion_tokens.is_some_and(|count| count > 0),
        "{row_name}"
    );
    if ending == Ending::Length {
        assert_eq!(usage.completion_tokens, Some(32), "{row_name}");
    }
    let named = row.endpoint != Endpoint::NativeCompletion;
    assert_eq!(observed.response_id.is_some(), named, "{row_name}");
    assert!(observed.model.is_some(), "{row_name}");
    assert_eq!(
        answer.timings().is_some(),
        row.shows(Shown::Timings),
        "{row_name}"
    );
}

/// Another program on a busy machine can delay any one answer, and only ever delay it: a true
/// definition agrees in some of these, a wrong one in none.
const ATTEMPTS: usize = 20;

fn check(ending: Ending) {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let mut requests = 0;
    for row in rows() {
        let mut differences = Vec::new();
        let agreed = (0..ATTEMPTS).any(|_| {
            requests += 1;
            let answer = server.ask(row.endpoint, &request(row, ending, requests));
            check_facts(row, &answer, ending);
            compare(row, &answer, server.logged(requests))
                .map_err(|line| differences.push(line))
                .is_ok()
        });
        assert!(
            agreed,
            "never within 1 ms or 1 %:\n{}",
            differences.join("\n")
        );
    }
}

/// Decode ends with the finish event: a stop token has no text, so the last text comes one token
/// before the server's own clock stops.
#[test]
fn the_finish_event_belongs_to_decode() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let row = &PHASE_SOURCES[0];
    let answer = server.ask(row.endpoint, &request(row, Ending::EndOfText, 1));
    let timings = answer.timings().expect("timings");
    let tokens = timings["predicted_n"].as_u64().expect("a count");
    let texts = String::from_utf8_lossy(&answer.body)
        .matches(r#""delta":{"content":""#)
        .count() as u64;
    assert!(
        0 < texts && texts < tokens,
        "{texts} texts, {tokens} tokens"
    );
}

#[test]
fn phases_agree_when_the_limit_ends_the_answer() {
    check(Ending::Length);
}

#[test]
fn phases_agree_when_the_model_ends_the_answer() {
    check(Ending::EndOfText);
}
