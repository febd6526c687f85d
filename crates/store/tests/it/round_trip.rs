//! Any OTLP message of any signal comes back as it went in.

use crate::messages::spans;
use llamatelemetry_store::{Query, Reader, Signal, Writer, compact};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use proptest::prelude::*;
use prost::Message as _;

fn value() -> impl Strategy<Value = Option<AnyValue>> {
    let leaf = prop_oneof![
        "[a-z\\[\\]{}\", ]{0,140}".prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        (-1e9..1e9).prop_map(Value::DoubleValue),
        any::<Vec<u8>>().prop_map(Value::BytesValue),
    ]
    .prop_map(|value| AnyValue { value: Some(value) });
    let nested = leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(|values| AnyValue {
                value: Some(Value::ArrayValue(ArrayValue { values }))
            }),
            proptest::collection::vec(("[ab]", inner), 0..3).prop_map(|pairs| AnyValue {
                value: Some(Value::KvlistValue(KeyValueList {
                    values: pairs
                        .into_iter()
                        .map(|(key, value)| KeyValue {
                            key,
                            value: Some(value),
                            ..KeyValue::default()
                        })
                        .collect()
                }))
            }),
        ]
    });
    prop_oneof![
        9 => nested.prop_map(Some),
        1 => Just(None),
        1 => Just(Some(AnyValue::default())),
    ]
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    // Few keys, so that one key has several types and stands twice in a row.
    let pair = ("[a-d]", value()).prop_map(|(key, value)| KeyValue {
        key,
        value,
        ..KeyValue::default()
    });
    proptest::collection::vec(pair, 0..5)
}

fn resource() -> impl Strategy<Value = Option<Resource>> {
    proptest::option::of(attributes().prop_map(|attributes| Resource {
        attributes,
        dropped_attributes_count: 1,
        ..Resource::default()
    }))
}

fn scope() -> impl Strategy<Value = Option<InstrumentationScope>> {
    proptest::option::of("[a-c]{0,2}".prop_map(|name| InstrumentationScope {
        name,
        ..InstrumentationScope::default()
    }))
}

fn bytes(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(Vec::new()),
        proptest::collection::vec(any::<u8>(), length)
    ]
}

prop_compose! {
    fn a_span()(
        trace_id in bytes(16),
        span_id in bytes(8),
        parent_span_id in bytes(8),
        words in proptest::array::uniform3("[a-z]{0,9}"),
        flags: u32,
        kind: i32,
        times: (u64, u64),
        dropped: (u32, u32, u32),
        attributes in attributes(),
        status in proptest::option::of((any::<i32>(), "[a-z]{0,3}")),
        event in proptest::option::of(attributes()),
        link in proptest::option::of(bytes(16)),
    ) -> Span {
        Span {
            trace_id, span_id, parent_span_id, flags, kind, attributes,
            name: words[0].clone(),
            trace_state: words[1].clone(),
            start_time_unix_nano: times.0,
            end_time_unix_nano: times.1,
            dropped_attributes_count: dropped.0,
            dropped_events_count: dropped.1,
            dropped_links_count: dropped.2,
            status: status.map(|(code, message)| Status { code, message }),
            events: event.into_iter().map(|attributes| span::Event { name: words[2].clone(), attributes, ..span::Event::default() }).collect(),
            links: link.into_iter().map(|trace_id| span::Link { trace_id, ..span::Link::default() }).collect(),
        }
    }
}

prop_compose! {
    fn a_log()(
        trace_id in bytes(16),
        span_id in bytes(8),
        words in proptest::array::uniform2("[a-z]{0,9}"),
        numbers: (u64, u64, i32, u32, u32),
        attributes in attributes(),
        body in value(),
    ) -> LogRecord {
        LogRecord {
            trace_id, span_id, attributes, body,
            event_name: words[0].clone(),
            severity_text: words[1].clone(),
            time_unix_nano: numbers.0,
            observed_time_unix_nano: numbers.1,
            severity_number: numbers.2,
            flags: numbers.3,
            dropped_attributes_count: numbers.4,
        }
    }
}

fn a_metric() -> impl Strategy<Value = Metric> {
    let point = (attributes(), any::<(u64, u64)>(), -1e6..1e6_f64);
    let points = proptest::collection::vec(point, 1..4);
    (points, 0..5_u8, "[a-z]{1,4}", any::<bool>()).prop_map(|(points, kind, name, monotonic)| {
        let numbers = || {
            points
                .iter()
                .map(|(attributes, (time, start), number)| NumberDataPoint {
                    attributes: attributes.clone(),
                    time_unix_nano: *time,
                    start_time_unix_nano: *start,
                    value: Some(number_data_point::Value::AsDouble(*number)),
                    exemplars: vec![Exemplar {
                        time_unix_nano: 3,
                        ..Exemplar::default()
                    }],
                    ..NumberDataPoint::default()
                })
        };
        let data = match kind {
            0 => Data::Gauge(Gauge {
                data_points: numbers().collect(),
            }),
            1 => Data::Sum(Sum {
                data_points: numbers().collect(),
                aggregation_temporality: 2,
                is_monotonic: monotonic,
            }),
            2 => Data::Histogram(Histogram {
                data_points: points
                    .iter()
                    .map(|(attributes, (time, start), sum)| HistogramDataPoint {
                        attributes: attributes.clone(),
                        time_unix_nano: *time,
                        start_time_unix_nano: *start,
                        sum: Some(*sum),
                        bucket_counts: vec![1, 2],
                        explicit_bounds: vec![0.5],
                        ..HistogramDataPoint::default()
                    })
                    .collect(),
                aggregation_temporality: 1,
            }),
            3 => Data::ExponentialHistogram(ExponentialHistogram {
                data_points: points
                    .iter()
                    .map(
                        |(attributes, (time, start), sum)| ExponentialHistogramDataPoint {
                            attributes: attributes.clone(),
                            time_unix_nano: *time,
                            start_time_unix_nano: *start,
                            sum: Some(*sum),
                            scale: 3,
                            ..ExponentialHistogramDataPoint::default()
                        },
                    )
                    .collect(),
                aggregation_temporality: 2,
            }),
            _ => Data::Summary(Summary {
                data_points: points
                    .iter()
                    .map(|(attributes, (time, start), sum)| SummaryDataPoint {
                        attributes: attributes.clone(),
                        time_unix_nano: *time,
                        start_time_unix_nano: *start,
                        sum: *sum,
                        ..SummaryDataPoint::default()
                    })
                    .collect(),
            }),
        };
        Metric {
            name,
            unit: "s".to_owned(),
            data: Some(data),
            ..Metric::default()
        }
    })
}

fn sorted<T: prost::Message + Default>(mut all: Vec<T>) -> Vec<Vec<u8>> {
    let mut bytes: Vec<Vec<u8>> = all.drain(..).map(|one| one.encode_to_vec()).collect();
    bytes.sort();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn spans_survive(batches in proptest::collection::vec((resource(), scope(), proptest::collection::vec(a_span(), 1..9)), 1..12)) {
        let folder = tempfile::tempdir().unwrap();
        let mut expected = Vec::new();
        for (resource, scope, spans) in &batches {
            let request = ExportTraceServiceRequest { resource_spans: vec![ResourceSpans {
                resource: resource.clone(),
                scope_spans: vec![ScopeSpans { scope: scope.clone(), spans: spans.clone(), schema_url: "u".into() }],
                schema_url: "s".into(),
            }] };
            expected.extend(spans.clone());
            // A writer each, so that there is something to compact.
            Writer::open(folder.path()).unwrap().append(Signal::Traces, request.encode_to_vec()).unwrap();
        }
        let expected = sorted(expected);
        let reader = Reader::open(folder.path()).unwrap();
        let read = || {
            let snapshot = reader.snapshot().unwrap();
            assert!(snapshot.damaged().is_empty(), "{:?}", snapshot.damaged());
            snapshot.find(Signal::Traces, &Query::default()).unwrap().traces().unwrap()
        };
        prop_assert_eq!(&sorted(spans(read())), &expected);
        compact(folder.path(), llamatelemetry_store::Retention::default()).unwrap();
        let all = read();
        prop_assert_eq!(&sorted(spans(all.clone())), &expected);
        // Exported, imported and exported again: the same bytes.
        let other = tempfile::tempdir().unwrap();
        Writer::open(other.path()).unwrap().append(Signal::Traces, all.encode_to_vec()).unwrap();
        let again = Reader::open(other.path()).unwrap().snapshot().unwrap();
        let again = again.find(Signal::Traces, &Query::default()).unwrap().traces().unwrap();
        prop_assert_eq!(again.encode_to_vec(), all.encode_to_vec());
    }

    #[test]
    fn logs_survive(resource in resource(), scope in scope(), records in proptest::collection::vec(a_log(), 1..20)) {
        let folder = tempfile::tempdir().unwrap();
        let request = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs {
            resource, scope_logs: vec![ScopeLogs { scope, log_records: records.clone(), schema_url: String::new() }], schema_url: String::new(),
        }] };
        let writer = Writer::open(folder.path()).unwrap();
        writer.append(Signal::Logs, request.encode_to_vec()).unwrap();
        writer.seal().unwrap();
        let read = Reader::open(folder.path()).unwrap().snapshot().unwrap().find(Signal::Logs, &Query::default()).unwrap().logs().unwrap();
        let found = read.resource_logs.into_iter().flat_map(|resource| resource.scope_logs).flat_map(|scope| scope.log_records).collect();
        prop_assert_eq!(sorted::<LogRecord>(found), sorted(records));
    }

    #[test]
    fn metrics_survive(resource in resource(), metrics in proptest::collection::vec(a_metric(), 1..6)) {
        let folder = tempfile::tempdir().unwrap();
        let request = ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics {
            resource, scope_metrics: vec![ScopeMetrics { metrics: metrics.clone(), ..ScopeMetrics::default() }], schema_url: String::new(),
        }] };
        let writer = Writer::open(folder.path()).unwrap();
        writer.append(Signal::Metrics, request.encode_to_vec()).unwrap();
        let read = Reader::open(folder.path()).unwrap().snapshot().unwrap().find(Signal::Metrics, &Query::default()).unwrap().metrics().unwrap();
        let found: Vec<Metric> = read.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics).flat_map(|scope| scope.metrics).collect();
        // Points come back by time: each point of a metric by itself is compared.
        prop_assert_eq!(sorted(found.into_iter().flat_map(|metric| single(&metric)).collect()), sorted(metrics.into_iter().flat_map(|metric| single(&metric)).collect()));
    }
}

/// A metric for each of its points.
fn single(metric: &Metric) -> Vec<Metric> {
    let of = |data| Metric {
        data: Some(data),
        ..metric.clone()
    };
    match metric.data.clone().unwrap() {
        Data::Gauge(all) => all
            .data_points
            .into_iter()
            .map(|point| {
                of(Data::Gauge(Gauge {
                    data_points: vec![point],
                }))
            })
            .collect(),
        Data::Sum(all) => all
            .data_points
            .iter()
            .map(|point| {
                of(Data::Sum(Sum {
                    data_points: vec![point.clone()],
                    ..all.clone()
                }))
            })
            .collect(),
        Data::Histogram(all) => all
            .data_points
            .iter()
            .map(|point| {
                of(Data::Histogram(Histogram {
                    data_points: vec![point.clone()],
                    ..all.clone()
                }))
            })
            .collect(),
        Data::ExponentialHistogram(all) => all
            .data_points
            .iter()
            .map(|point| {
                of(Data::ExponentialHistogram(ExponentialHistogram {
                    data_points: vec![point.clone()],
                    ..all.clone()
                }))
            })
            .collect(),
        Data::Summary(all) => all
            .data_points
            .into_iter()
            .map(|point| {
                of(Data::Summary(Summary {
                    data_points: vec![point],
                }))
            })
            .collect(),
    }
}
