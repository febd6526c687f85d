//! The spans of a request's phases.

use super::attributes::Attributes;
use super::child;
use crate::names::{attribute, span as name};
use llamatelemetry_record::RequestRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::time::SystemTime;

/// Those phases that are known, in order.
pub(super) fn spans(record: &RequestRecord, spans: &mut Vec<Span>) {
    let phases = &record.phases;
    let mut from = record.started_at;
    let known = [
        (name::QUEUE, phases.queue),
        (name::PREFILL, phases.prefill),
        (name::DECODE, phases.decode),
    ];
    for (index, (name, time)) in (1_u64..).zip(known) {
        // Where one phase is not known, nothing says when the next began.
        let Some(time) = time else { return };
        let to = from + time;
        spans.push(phase(record, index, name, from, to));
        from = to;
    }
}

fn phase(
    record: &RequestRecord,
    index: u64,
    name: &'static str,
    from: SystemTime,
    to: SystemTime,
) -> Span {
    let mut all = Attributes::with_capacity(3);
    // Tokens stand on the request's span under their standard names; under those names here too
    // they would be counted twice by backends that sum over spans.
    match name {
        name::PREFILL => {
            let usage = &record.usage;
            let evaluated = usage
                .prompt_tokens
                .zip(usage.cached_tokens)
                .and_then(|(all, cached)| all.checked_sub(cached));
            all.count(attribute::PREFILL_TOKENS, evaluated);
            all.count(attribute::PREFILL_CACHED_TOKENS, usage.cached_tokens);
            all.set(attribute::PREFILL_RATE, record.prompt_per_second());
        }
        name::DECODE => {
            all.count(attribute::DECODE_TOKENS, record.usage.completion_tokens);
            all.set(attribute::DECODE_RATE, record.decode_per_second());
        }
        _ => all.set(attribute::SLOT, record.slot.map(i64::from)),
    }
    child::span(record, index, name, (from, to), all)
}
