//! What may be recorded of what was said, and what goes where.

use crate::TelemetryError;
use crate::content::Structured;
use crate::conventions::Profile;
use crate::events;
use crate::limits::LogLimits;
use crate::names::event;
use crate::redact::Redactor;
use llamatelemetry_record::{Content, Happening, LoggedLine, RequestRecord, Severity, What};
use llamatelemetry_settings::{LogLevel, Secret, Settings};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::sync::Arc;

/// What may be recorded of what was said, and what goes where.
#[derive(Debug)]
pub(super) struct Rules {
    redactor: Redactor,
    content_on_spans: bool,
    emits_events: bool,
    content_in_events: Structured,
    least: Severity,
}

impl Rules {
    /// `secrets` are those that were given by variables.
    pub(super) fn of(
        settings: &Settings,
        secrets: &[Secret],
        profile: Profile,
    ) -> Result<Self, TelemetryError> {
        let telemetry = &settings.telemetry;
        Ok(Self {
            redactor: Redactor::new(settings, secrets)?,
            content_on_spans: telemetry.content_on_spans(),
            emits_events: telemetry.emits_events() && Self::has_details(profile),
            content_in_events: if telemetry.content_in_events() {
                Structured::Included
            } else {
                Structured::LeftOut
            },
            least: match telemetry.log_level {
                LogLevel::Trace => Severity::Trace,
                LogLevel::Debug => Severity::Debug,
                LogLevel::Info => Severity::Info,
                LogLevel::Warn => Severity::Warn,
                LogLevel::Error => Severity::Error,
            },
        })
    }

    /// The record as it may be seen: without secrets. The first step of all.
    pub(super) fn record(&self, record: Arc<RequestRecord>) -> Arc<RequestRecord> {
        self.redactor.record(record)
    }

    /// The happening as it may be seen, which is on spans only.
    pub(super) fn happening(&self, happening: &mut Happening) {
        if !self.content_on_spans
            && let What::ToolExecution { content, .. } = &mut happening.what
        {
            *content = None;
            // What a tool says of its failure may quote what it was given.
            if let Some(failure) = &mut happening.failure {
                failure.message.clear();
            }
        }
        self.redactor.happening(happening);
    }

    /// The line as it may be seen, if it is grave enough.
    pub(super) fn line(&self, mut line: LoggedLine) -> Option<LoggedLine> {
        if line.severity < self.least {
            return None;
        }
        self.redactor.line(&mut line);
        Some(line)
    }

    /// What spans may show of what was said.
    pub(super) fn content_on_spans<'a>(&self, record: &'a RequestRecord) -> Option<&'a Content> {
        record.content.as_ref().filter(|_| self.content_on_spans)
    }

    /// Whether a version of the names has an event for the details of a request.
    pub(super) fn has_details(profile: Profile) -> bool {
        profile.registry().event(event::DETAILS).is_some()
    }

    /// Whether requests leave events even where their trace is not kept.
    pub(super) fn emits_events(&self) -> bool {
        self.emits_events
    }

    /// The events that a request leaves beside its span, which is kept or not.
    pub(super) fn events(
        &self,
        record: &RequestRecord,
        span: &Span,
        kept: bool,
        limits: &LogLimits,
    ) -> Vec<LogRecord> {
        let details = self
            .emits_events
            .then(|| events::details(record, span, self.content_in_events, limits.value_length));
        let events = details.into_iter().chain(events::exception(record, span));
        events
            .map(|mut event| {
                event.flags = u32::from(kept);
                limits.apply(&mut event);
                event
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llamatelemetry_record::{Failure, SpanId, ToolContent, TraceId};
    use llamatelemetry_settings::{Environment, Flags, resolve};
    use std::time::{Duration, SystemTime};

    /// A tool's run as spans may show it.
    fn shown(capture: &str) -> Happening {
        let pairs = [
            ("HOME", "/nonexistent"),
            (
                "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
                capture,
            ),
        ];
        let environment = Environment::from_pairs(pairs);
        let settings = resolve(environment, &Flags::default()).unwrap().settings;
        let mut happening = Happening {
            trace_id: TraceId([1; 16]),
            span_id: SpanId([2; 8]),
            parent: None,
            links: Vec::new(),
            started_at: SystemTime::UNIX_EPOCH,
            duration: Duration::ZERO,
            what: What::ToolExecution {
                name: "weather".into(),
                call_id: None,
                content: Some(ToolContent {
                    arguments: "said".into(),
                    result: Some("said".into()),
                }),
            },
            failure: Some(Failure {
                kind: "timeout".into(),
                message: "said".into(),
            }),
        };
        let rules = Rules::of(&settings, &[], Profile::Latest).unwrap();
        rules.happening(&mut happening);
        happening
    }

    #[test]
    fn what_a_tool_was_told_stays_off_spans_unless_they_may_show_it() {
        let apart = shown("EVENT_ONLY");
        assert!(!format!("{apart:?}").contains("said"), "{apart:?}");
        assert_eq!(apart.failure.unwrap().kind, "timeout");
        let on_spans = shown("SPAN_ONLY");
        assert_eq!(format!("{on_spans:?}").matches("said").count(), 3);
    }
}
