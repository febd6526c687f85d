//! The spans of what a request had to wait for.

use super::attributes::Attributes;
use super::links::Reason;
use super::{child, events, links};
use crate::names::{attribute, span as name};
use llamatelemetry_record::{RequestRecord, WaitCause};
use opentelemetry_proto::tonic::trace::v1::Span;

/// The number of the first wait's span; those below are the phases'.
const FIRST: u64 = 16;

/// In the order in which they followed one another. Each is linked to the load or restart itself,
/// which may have begun earlier; the first one says how the server had ended.
pub(super) fn spans(record: &RequestRecord, spans: &mut Vec<Span>) {
    for (number, wait) in (FIRST..).zip(&record.waits) {
        let mut all = Attributes::with_capacity(4);
        all.set(attribute::REQUEST_MODEL, Some(record.model.clone()));
        let name = match wait.cause {
            WaitCause::Admission => name::ADMISSION,
            WaitCause::Restart => name::RESTART,
            WaitCause::ModelLoad => {
                all.set(attribute::QUANTIZATION, record.quantization.clone());
                all.set(attribute::MODEL_SHA256, record.model_sha256.clone());
                all.set(attribute::BUILD, record.llama_build.clone());
                name::MODEL_LOAD
            }
        };
        let times = (wait.started_at, wait.started_at + wait.duration);
        let mut span = child::span(record, number, name, times, all);
        span.links = links::to(wait.span.as_slice(), Reason::Wait);
        if let Some(exit) = wait.exit.as_ref().filter(|_| number == FIRST) {
            span.events.push(events::of_exit(exit, wait.started_at));
        }
        spans.push(span);
    }
}
