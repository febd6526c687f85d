//! What may be recorded of what was said, and what goes where.

use crate::content::Structured;
use crate::events;
use crate::redact::Redactor;
use crate::{SpanLimits, TelemetryError};
use llamatelemetry_record::{Happening, LoggedLine, RequestRecord, Severity};
use llamatelemetry_settings::{LogLevel, Settings};
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
    pub(super) fn of(settings: &Settings) -> Result<Self, TelemetryError> {
        let telemetry = &settings.telemetry;
        Ok(Self {
            redactor: Redactor::new(settings)?,
            content_on_spans: telemetry.content_on_spans(),
            emits_events: telemetry.emits_events(),
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

    /// The happening as it may be seen.
    pub(super) fn happening(&self, happening: &mut Happening) {
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

    /// The record as spans may show it.
    pub(super) fn for_spans(&self, record: &Arc<RequestRecord>) -> Arc<RequestRecord> {
        if self.content_on_spans || record.content.is_none() {
            return record.clone();
        }
        let mut without = RequestRecord::clone(record);
        without.content = None;
        Arc::new(without)
    }

    /// Whether requests leave events even where their trace is not kept.
    pub(super) fn emits_events(&self) -> bool {
        self.emits_events
    }

    /// The events that a request leaves beside its span.
    pub(super) fn events(
        &self,
        record: &RequestRecord,
        span: &Span,
        limits: &SpanLimits,
    ) -> Vec<LogRecord> {
        let details = self
            .emits_events
            .then(|| events::details(record, span, self.content_in_events, limits.value_length));
        details
            .into_iter()
            .chain(events::exception(record, span))
            .collect()
    }
}
