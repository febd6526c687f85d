//! OTLP messages into rows and back, nothing lost: what goes in comes out byte for byte, up to the
//! grouping by resource and scope.

mod gather;
mod points;
mod sums;
mod weight;

use crate::StoreError;
use crate::block::{ATTRIBUTE_LIMIT, Builder, Builders, Origin, Row, Signal, log, span};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message as _;

pub(crate) use gather::gather;
pub use weight::rows;
pub(crate) use weight::weigh;

/// An export request of one of the signals.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    Traces(ExportTraceServiceRequest),
    Metrics(ExportMetricsServiceRequest),
    Logs(ExportLogsServiceRequest),
}

impl Request {
    /// Reads a request from protobuf.
    pub(crate) fn decode(signal: Signal, bytes: &[u8]) -> Result<Self, StoreError> {
        let request = match signal {
            Signal::Traces => ExportTraceServiceRequest::decode(bytes).map(Self::Traces),
            Signal::Metrics => ExportMetricsServiceRequest::decode(bytes).map(Self::Metrics),
            Signal::Logs => ExportLogsServiceRequest::decode(bytes).map(Self::Logs),
        }
        .map_err(|source| StoreError::NotOtlp {
            signal: signal.as_str(),
            source,
        })?;
        match request.most_attributes() {
            count if count > ATTRIBUTE_LIMIT => Err(StoreError::TooManyAttributes {
                count,
                limit: ATTRIBUTE_LIMIT,
            }),
            _ => Ok(request),
        }
    }

    /// Adds its rows to the blocks of its signal.
    pub(crate) fn feed(&mut self, builders: &mut Builders) {
        match self {
            Self::Traces(request) => {
                for resource in &mut request.resource_spans {
                    let scopes = std::mem::take(&mut resource.scope_spans);
                    let from = resource.encode_to_vec();
                    let service = sums::service(resource.resource.as_ref());
                    for mut scope in scopes {
                        let spans = std::mem::take(&mut scope.spans);
                        let by = scope.encode_to_vec();
                        let origin = origin(builders, &from, &by);
                        for span in spans {
                            let builder = builders.of(Signal::Traces);
                            sums::add(builder.rollups(), &service, &span);
                            feed_span(builder, origin, span);
                        }
                    }
                }
            }
            Self::Logs(request) => {
                for resource in &mut request.resource_logs {
                    let scopes = std::mem::take(&mut resource.scope_logs);
                    let from = resource.encode_to_vec();
                    for mut scope in scopes {
                        let records = std::mem::take(&mut scope.log_records);
                        let by = scope.encode_to_vec();
                        let origin = origin(builders, &from, &by);
                        for record in records {
                            feed_log(builders.of(Signal::Logs), origin, &record);
                        }
                    }
                }
            }
            Self::Metrics(request) => {
                for resource in &mut request.resource_metrics {
                    let scopes = std::mem::take(&mut resource.scope_metrics);
                    let from = resource.encode_to_vec();
                    for mut scope in scopes {
                        let metrics = std::mem::take(&mut scope.metrics);
                        let by = scope.encode_to_vec();
                        let origin = origin(builders, &from, &by);
                        for metric in metrics {
                            points::feed(builders, origin, metric);
                        }
                    }
                }
            }
        }
    }

    /// Attributes of the row that has the most.
    fn most_attributes(&self) -> usize {
        let most = match self {
            Self::Traces(request) => (request.resource_spans.iter())
                .flat_map(|resource| &resource.scope_spans)
                .flat_map(|scope| &scope.spans)
                .map(|span| span.attributes.len())
                .max(),
            Self::Logs(request) => (request.resource_logs.iter())
                .flat_map(|resource| &resource.scope_logs)
                .flat_map(|scope| &scope.log_records)
                .map(|record| record.attributes.len())
                .max(),
            Self::Metrics(request) => (request.resource_metrics.iter())
                .flat_map(|resource| &resource.scope_metrics)
                .flat_map(|scope| &scope.metrics)
                .map(points::most_attributes)
                .max(),
        };
        most.unwrap_or(0)
    }
}

/// Where rows come from: their resource and scope, without the rows.
fn origin<'a>(builders: &mut Builders, resource: &'a [u8], scope: &'a [u8]) -> Origin<'a> {
    Origin {
        number: builders.next_origin(),
        resource,
        scope,
    }
}

fn feed_span(builder: &mut Builder, origin: Origin<'_>, mut span: Span) {
    let rest = Span {
        events: std::mem::take(&mut span.events),
        links: std::mem::take(&mut span.links),
        ..Span::default()
    };
    let (status, message) = match &span.status {
        None => (0, ""),
        Some(status) => (
            u64::from(status.code.cast_unsigned()) + 1,
            status.message.as_str(),
        ),
    };
    builder.push(
        origin,
        &[
            span.start_time_unix_nano,
            span.end_time_unix_nano
                .wrapping_sub(span.start_time_unix_nano),
            u64::from(span.flags),
            u64::from(span.kind.cast_unsigned()),
            status,
            u64::from(span.dropped_attributes_count),
            u64::from(span.dropped_events_count),
            u64::from(span.dropped_links_count),
        ],
        &[
            span.name.as_bytes(),
            &span.trace_id,
            &span.span_id,
            &span.parent_span_id,
            span.trace_state.as_bytes(),
            message.as_bytes(),
            &rest.encode_to_vec(),
        ],
        &span.attributes,
    );
}

/// Beside a log record's flags, which take 32 bits: its time was that of its observation.
const UNTIMED: u64 = 1 << 32;

fn feed_log(builder: &mut Builder, origin: Origin<'_>, record: &LogRecord) {
    // An empty body is no body.
    let body = record.body.as_ref().map(|body| {
        let mut bytes = vec![1];
        bytes.extend(body.encode_to_vec());
        bytes
    });
    // Without a time of its own a record is as old as its observation.
    let untimed = record.time_unix_nano == 0;
    let observed = record.observed_time_unix_nano;
    let time = if untimed {
        observed
    } else {
        record.time_unix_nano
    };
    builder.push(
        origin,
        &[
            time,
            observed.wrapping_sub(time),
            u64::from(record.flags) | if untimed { UNTIMED } else { 0 },
            u64::from(record.severity_number.cast_unsigned()),
            u64::from(record.dropped_attributes_count),
        ],
        &[
            record.event_name.as_bytes(),
            &record.trace_id,
            &record.span_id,
            record.severity_text.as_bytes(),
            body.as_deref().unwrap_or_default(),
        ],
        &record.attributes,
    );
}

/// Why a row makes no message.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) &'static str);

impl From<prost::DecodeError> for Broken {
    fn from(_: prost::DecodeError) -> Self {
        Self("a part of a message")
    }
}

fn text(bytes: &[u8]) -> Result<String, Broken> {
    String::from_utf8(bytes.to_vec()).map_err(|_not_text| Broken("a text that is no UTF-8"))
}

fn small(number: u64) -> Result<u32, Broken> {
    u32::try_from(number).map_err(|_too_large| Broken("a number that is too large"))
}

/// A span out of its row.
pub(crate) fn span(row: Row) -> Result<Span, Broken> {
    use crate::block::{NAME, SPAN, TIME, TRACE};
    let (numbers, texts) = (&row.numbers, &row.texts);
    let rest = Span::decode(&*texts[span::REST])?;
    let status = match numbers[span::STATUS].checked_sub(1) {
        None => None,
        Some(code) => Some(Status {
            code: small(code)?.cast_signed(),
            message: text(&texts[span::MESSAGE])?,
        }),
    };
    Ok(Span {
        trace_id: texts[TRACE].to_vec(),
        span_id: texts[SPAN].to_vec(),
        parent_span_id: texts[span::PARENT].to_vec(),
        trace_state: text(&texts[span::STATE])?,
        flags: small(numbers[span::FLAGS])?,
        name: text(&texts[NAME])?,
        kind: small(numbers[span::KIND])?.cast_signed(),
        start_time_unix_nano: numbers[TIME],
        end_time_unix_nano: numbers[TIME].wrapping_add(numbers[span::DURATION]),
        dropped_attributes_count: small(numbers[span::DROPPED_ATTRIBUTES])?,
        dropped_events_count: small(numbers[span::DROPPED_EVENTS])?,
        dropped_links_count: small(numbers[span::DROPPED_LINKS])?,
        attributes: row.attributes,
        status,
        ..rest
    })
}

/// A log record out of its row.
pub(crate) fn log_record(row: Row) -> Result<LogRecord, Broken> {
    use crate::block::{NAME, SPAN, TIME, TRACE};
    let (numbers, texts) = (&row.numbers, &row.texts);
    let body = match texts[log::BODY].split_first() {
        None => None,
        Some((_, body)) => Some(AnyValue::decode(body)?),
    };
    let untimed = numbers[log::FLAGS] & UNTIMED != 0;
    Ok(LogRecord {
        time_unix_nano: if untimed { 0 } else { numbers[TIME] },
        observed_time_unix_nano: numbers[TIME].wrapping_add(numbers[log::OBSERVED]),
        severity_number: small(numbers[log::SEVERITY])?.cast_signed(),
        severity_text: text(&texts[log::SEVERITY_TEXT])?,
        dropped_attributes_count: small(numbers[log::DROPPED_ATTRIBUTES])?,
        flags: small(numbers[log::FLAGS] & !UNTIMED)?,
        trace_id: texts[TRACE].to_vec(),
        span_id: texts[SPAN].to_vec(),
        event_name: text(&texts[NAME])?,
        attributes: row.attributes,
        body,
    })
}

/// A metric of one point out of its row.
pub(crate) fn metric(row: Row) -> Result<Metric, Broken> {
    let mut metrics = Vec::with_capacity(1);
    points::gather(&mut metrics, row)?;
    metrics.pop().ok_or(Broken("no metric"))
}
