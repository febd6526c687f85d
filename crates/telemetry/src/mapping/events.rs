//! What happened at one moment of a span.

use super::attributes::Attributes;
use crate::names::{attribute, event as name};
use crate::value::unix_nanos;
use llamatelemetry_record::{Mark, MarkKind, RequestRecord, ServerExit};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use std::time::SystemTime;

/// The events of a request, in the order of their times.
pub(super) fn of_request(record: &RequestRecord) -> Vec<Event> {
    let first_token = record.phases.ttft().map(|ttft| {
        event(
            name::FIRST_TOKEN,
            record.started_at + ttft,
            Attributes::none(),
        )
    });
    let mut events: Vec<Event> = record
        .marks
        .iter()
        .filter_map(of_mark)
        .chain(first_token)
        .collect();
    events.sort_by_key(|event| event.time_unix_nano);
    events
}

/// A server ended.
pub(super) fn of_exit(exit: &ServerExit, at: SystemTime) -> Event {
    let mut all = Attributes::with_capacity(4);
    all.set(attribute::EXIT_CLASS, Some(exit.class.as_str()));
    all.set(attribute::EXIT_CODE, exit.code.map(i64::from));
    all.set(attribute::EXIT_SIGNAL, exit.signal.map(i64::from));
    all.set(
        attribute::EXIT_LOG,
        (!exit.log_tail.is_empty()).then(|| exit.log_tail.clone()),
    );
    event(name::SERVER_EXIT, at, all)
}

fn of_mark(mark: &Mark) -> Option<Event> {
    let mut all = Attributes::none();
    let name = match &mark.kind {
        MarkKind::SlotAcquired { slot } => {
            all.set(attribute::SLOT, Some(i64::from(*slot)));
            name::SLOT_ACQUIRED
        }
        MarkKind::SlotReleased { tokens, wasted } => {
            all.count(attribute::SLOT_TOKENS, *tokens);
            all.count(attribute::WASTED_TOKENS, *wasted);
            name::SLOT_RELEASED
        }
        MarkKind::ContextShift { discarded } => {
            all.count(attribute::DISCARDED_TOKENS, *discarded);
            name::CONTEXT_SHIFT
        }
        MarkKind::CheckpointRestored => name::CHECKPOINT_RESTORED,
        MarkKind::DraftAcceptance { drafted, accepted } => {
            all.count(attribute::DRAFT_TOKENS, Some(*drafted));
            all.count(attribute::DRAFT_ACCEPTED, Some(*accepted));
            name::DRAFT_ACCEPTANCE
        }
        MarkKind::ServerEnded(exit) => return Some(of_exit(exit, mark.at)),
        _ => return None,
    };
    Some(event(name, mark.at, all))
}

fn event(name: &str, at: SystemTime, attributes: Attributes) -> Event {
    Event {
        time_unix_nano: unix_nanos(at),
        name: name.to_owned(),
        attributes: attributes.into_vec(),
        dropped_attributes_count: 0,
    }
}
