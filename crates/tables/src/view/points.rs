//! `metric_points`

use super::shared::{ATTRIBUTES, RESOURCE_ID, SCOPE_NAME, SERVICE};
use super::{Column, From, Kind, Narrows, Source, View};
use crate::value::Value;
use llamatelemetry_store::{Signal, column};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric,
    NumberDataPoint, SummaryDataPoint,
};
use serde::Serialize;
use serde_json::json;

/// A point of a metric a row.
pub(super) static METRIC_POINTS: View = View {
    name: "metric_points",
    about: "A point of a metric a row. `value` is there for gauges and sums, `count` to \
            `quantiles` for histograms and summaries.",
    source: Source::Rows(Signal::Metrics),
    columns: &[
        Column::new(
            "name",
            Kind::Text,
            From::Text(column::NAME),
            "The metric's name.",
        )
        .narrows(Narrows::Name),
        Column::new(
            "time_unix_nano",
            Kind::Integer,
            From::Time,
            "When the point was taken, nanoseconds since 1970.",
        )
        .narrows(Narrows::Time),
        Column::new(
            "start_time_unix_nano",
            Kind::Integer,
            From::TimeAnd(column::point::STARTED, |time, since| {
                Value::known(time.wrapping_sub(since))
            }),
            "From when on a sum counts, nanoseconds since 1970.",
        ),
        of_metric(
            "kind",
            Kind::Text,
            kind,
            "`gauge`, `sum`, `histogram`, `exponential_histogram`, `summary`.",
        ),
        of_metric(
            "unit",
            Kind::Text,
            |metric| Value::text(&metric.unit),
            "The unit, in UCUM.",
        ),
        of_metric(
            "description",
            Kind::Text,
            |metric| Value::text(&metric.description),
            "What the metric is.",
        ),
        of_metric(
            "temporality",
            Kind::Text,
            temporality,
            "`delta`, `cumulative`.",
        ),
        of_metric(
            "monotonic",
            Kind::Integer,
            monotonic,
            "1 for a sum that only grows, else 0.",
        ),
        of_metric("value", Kind::Any, value, "The value of a gauge or a sum."),
        of_metric(
            "count",
            Kind::Integer,
            count,
            "How many values a distribution holds.",
        ),
        of_metric("sum", Kind::Real, sum, "Their sum."),
        of_metric(
            "min",
            Kind::Real,
            |metric| Value::real(extremes(metric).0),
            "The smallest.",
        ),
        of_metric(
            "max",
            Kind::Real,
            |metric| Value::real(extremes(metric).1),
            "The largest.",
        ),
        of_metric(
            "buckets",
            Kind::Json,
            buckets,
            "Bounds and counts of a histogram, scale and counts of an exponential one.",
        ),
        of_metric(
            "quantiles",
            Kind::Json,
            quantiles,
            "Quantiles of a summary.",
        ),
        of_metric(
            "exemplars",
            Kind::Json,
            exemplars,
            "Single values with their traces, as in OTLP.",
        ),
        SERVICE,
        SCOPE_NAME,
        RESOURCE_ID,
        ATTRIBUTES,
    ],
};

/// A column of which the value is found in the metric's message.
const fn of_metric(
    name: &'static str,
    kind: Kind,
    find: fn(&Metric) -> Value,
    about: &'static str,
) -> Column {
    Column::new(name, kind, From::Metric(find), about)
}

/// The one point of a metric.
enum Point<'a> {
    Number(&'a NumberDataPoint),
    Histogram(&'a HistogramDataPoint),
    Exponential(&'a ExponentialHistogramDataPoint),
    Summary(&'a SummaryDataPoint),
}

fn point(metric: &Metric) -> Option<Point<'_>> {
    match metric.data.as_ref()? {
        Data::Gauge(data) => data.data_points.first().map(Point::Number),
        Data::Sum(data) => data.data_points.first().map(Point::Number),
        Data::Histogram(data) => data.data_points.first().map(Point::Histogram),
        Data::ExponentialHistogram(data) => data.data_points.first().map(Point::Exponential),
        Data::Summary(data) => data.data_points.first().map(Point::Summary),
    }
}

/// The point's attributes.
pub(super) fn labels(metric: &Metric) -> &[KeyValue] {
    match point(metric) {
        None => &[],
        Some(Point::Number(point)) => &point.attributes,
        Some(Point::Histogram(point)) => &point.attributes,
        Some(Point::Exponential(point)) => &point.attributes,
        Some(Point::Summary(point)) => &point.attributes,
    }
}

/// The point's time and the start of what it sums, ns since 1970.
pub(super) fn times(metric: &Metric) -> (u64, u64) {
    match point(metric) {
        None => (0, 0),
        Some(Point::Number(point)) => (point.time_unix_nano, point.start_time_unix_nano),
        Some(Point::Histogram(point)) => (point.time_unix_nano, point.start_time_unix_nano),
        Some(Point::Exponential(point)) => (point.time_unix_nano, point.start_time_unix_nano),
        Some(Point::Summary(point)) => (point.time_unix_nano, point.start_time_unix_nano),
    }
}

fn kind(metric: &Metric) -> Value {
    Value::text(match &metric.data {
        None => "",
        Some(Data::Gauge(_)) => "gauge",
        Some(Data::Sum(_)) => "sum",
        Some(Data::Histogram(_)) => "histogram",
        Some(Data::ExponentialHistogram(_)) => "exponential_histogram",
        Some(Data::Summary(_)) => "summary",
    })
}

fn temporality(metric: &Metric) -> Value {
    let stated = match &metric.data {
        Some(Data::Sum(data)) => data.aggregation_temporality(),
        Some(Data::Histogram(data)) => data.aggregation_temporality(),
        Some(Data::ExponentialHistogram(data)) => data.aggregation_temporality(),
        _ => AggregationTemporality::Unspecified,
    };
    Value::text(match stated {
        AggregationTemporality::Delta => "delta",
        AggregationTemporality::Cumulative => "cumulative",
        AggregationTemporality::Unspecified => "",
    })
}

fn monotonic(metric: &Metric) -> Value {
    match &metric.data {
        Some(Data::Sum(data)) => Value::Integer(i64::from(data.is_monotonic)),
        _ => Value::Null,
    }
}

fn value(metric: &Metric) -> Value {
    match point(metric) {
        Some(Point::Number(point)) => match point.value {
            Some(Number::AsDouble(number)) => Value::real(Some(number)),
            Some(Number::AsInt(number)) => Value::Integer(number),
            None => Value::Null,
        },
        _ => Value::Null,
    }
}

fn count(metric: &Metric) -> Value {
    match point(metric) {
        Some(Point::Histogram(point)) => Value::count(point.count),
        Some(Point::Exponential(point)) => Value::count(point.count),
        Some(Point::Summary(point)) => Value::count(point.count),
        _ => Value::Null,
    }
}

fn sum(metric: &Metric) -> Value {
    Value::real(match point(metric) {
        Some(Point::Histogram(point)) => point.sum,
        Some(Point::Exponential(point)) => point.sum,
        Some(Point::Summary(point)) => Some(point.sum),
        _ => None,
    })
}

/// The smallest and the largest value, where they are stated.
fn extremes(metric: &Metric) -> (Option<f64>, Option<f64>) {
    match point(metric) {
        Some(Point::Histogram(point)) => (point.min, point.max),
        Some(Point::Exponential(point)) => (point.min, point.max),
        _ => (None, None),
    }
}

fn buckets(metric: &Metric) -> Value {
    let side = |buckets: &Option<Buckets>| {
        let buckets = buckets.as_ref();
        buckets.map(|side| json!({"offset": side.offset, "counts": side.bucket_counts}))
    };
    match point(metric) {
        Some(Point::Histogram(point)) => {
            Value::json(&json!({"bounds": point.explicit_bounds, "counts": point.bucket_counts}))
        }
        Some(Point::Exponential(point)) => Value::json(&json!({
            "scale": point.scale,
            "zero_count": point.zero_count,
            "zero_threshold": point.zero_threshold,
            "positive": side(&point.positive),
            "negative": side(&point.negative),
        })),
        _ => Value::Null,
    }
}

fn quantiles(metric: &Metric) -> Value {
    match point(metric) {
        Some(Point::Summary(point)) => serialized(&point.quantile_values),
        _ => Value::Null,
    }
}

fn exemplars(metric: &Metric) -> Value {
    let all: &[Exemplar] = match point(metric) {
        Some(Point::Number(point)) => &point.exemplars,
        Some(Point::Histogram(point)) => &point.exemplars,
        Some(Point::Exponential(point)) => &point.exemplars,
        Some(Point::Summary(_)) | None => &[],
    };
    if all.is_empty() {
        Value::Null
    } else {
        serialized(all)
    }
}

/// OTLP's messages have only texts for keys, and so are always JSON.
fn serialized<T: Serialize + ?Sized>(messages: &T) -> Value {
    serde_json::to_string(messages).map_or(Value::Null, |text| Value::Text(text.into()))
}
