//! Rules of log records and events.

use super::attributes::Circumstances;
use super::rule::Rule;
use super::{At, Found, attributes, content, span};
use opentelemetry_proto::tonic::logs::v1::LogRecord;

pub(super) fn check(at: &At<'_>, log: &LogRecord, found: Found<'_>) {
    if !log.trace_id.is_empty() && !span::is_id(&log.trace_id, 16)
        || !log.span_id.is_empty() && !span::is_id(&log.span_id, 8)
    {
        at.report(found, Rule::MalformedId, "it names a span by no valid id");
    }
    attributes::check(at, &log.attributes, found);
    content::check(at, &log.attributes, found);
    if log.event_name.is_empty() {
        return;
    }
    let event = at
        .conventions
        .registries()
        .find_map(|registry| registry.event(&log.event_name));
    let Some(event) = event else {
        let mut registries = at.conventions.registries();
        let theirs = registries.any(|registry| registry.owns(&log.event_name));
        if theirs && !at.conventions.is_moved_event(&log.event_name) {
            at.report(
                found,
                Rule::UnknownEvent,
                format!(
                    "`{}` is not defined in {}",
                    log.event_name,
                    at.conventions.profile()
                ),
            );
        }
        return;
    };
    if let Some(severity) = event.severity
        && log.severity_number != severity
    {
        at.report(
            found,
            Rule::EventSeverity,
            format!(
                "its severity is {}, and should be {severity}",
                log.severity_number
            ),
        );
    }
    attributes::require(
        at,
        &log.attributes,
        &event.requirements,
        Circumstances::default(),
        found,
    );
}
