//! The one line of figures after an answer.

use crate::printer::Style;
use crate::quantity::counted;
use llamatelemetry::InferResult;
use std::fmt::Write as _;

/// The figures of an answer in one line. What is unknown is left out.
pub(crate) fn line(result: &InferResult, style: Style) -> String {
    let mut parts = Vec::new();
    let (usage, timings) = (&result.usage, &result.timings);
    if let Some(tokens) = usage.completion_tokens {
        let mut part = counted(tokens, "token");
        if let Some(rate) = timings.decode_per_second {
            add(&mut part, format_args!(", {rate:.1}/s"));
        }
        parts.push(part);
    }
    if let Some(first) = timings.ttft_ms {
        let mut part = format!("first token after {}", milliseconds(first));
        if let (Some(queue), Some(prefill)) = (timings.queue_ms, timings.prefill_ms) {
            let (queue, prefill) = (milliseconds(queue), milliseconds(prefill));
            add(
                &mut part,
                format_args!(" (queue {queue}, prefill {prefill})"),
            );
        }
        parts.push(part);
    }
    if let Some(tokens) = usage.prompt_tokens {
        let mut part = format!("prompt {}", counted(tokens, "token"));
        if let Some(cached) = usage.cached_tokens.filter(|cached| *cached > 0) {
            add(&mut part, format_args!(" ({cached} cached)"));
        }
        parts.push(part);
    }
    parts.push(format!("{} in all", milliseconds(timings.total_ms)));
    if let Some(energy) = &result.energy {
        parts.push(format!("{:.2} J", energy.joules));
    }
    style.faint(&parts.join(" · "))
}

fn add(part: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    part.write_fmt(text).unwrap_or_default();
}

fn milliseconds(time: f64) -> String {
    if time >= 1000.0 {
        format!("{:.2} s", time / 1000.0)
    } else if time >= 10.0 {
        format!("{time:.0} ms")
    } else {
        format!("{time:.1} ms")
    }
}
