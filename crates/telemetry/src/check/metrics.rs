//! Rules of metrics.

use super::attributes::Circumstances;
use super::rule::Rule;
use super::{At, Found, attributes};
use crate::conventions::registry::{Instrument, Metric as Definition};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, HistogramDataPoint, Metric,
};

/// Checks one metric and returns how many points it has.
pub(super) fn check(at: &At<'_>, metric: &Metric, found: Found<'_>) -> u64 {
    let definition = at.conventions.metric(&metric.name);
    if let Some(definition) = definition {
        known(at, metric, definition, found);
    } else {
        let mut registries = at.conventions.registries();
        if registries.any(|registry| registry.owns(&metric.name)) {
            at.report(
                found,
                Rule::UnknownMetric,
                format!("it is not defined in {}", at.conventions.profile()),
            );
        }
    }
    points(at, metric, definition, found)
}

fn known(at: &At<'_>, metric: &Metric, definition: &Definition, found: Found<'_>) {
    if let Some(successors) = definition.deprecated {
        at.report(
            found,
            Rule::DeprecatedName,
            format!("it is deprecated; {}", attributes::instead(successors)),
        );
    }
    if metric.unit != definition.unit {
        at.report(
            found,
            Rule::MetricUnit,
            format!("its unit is `{}`, not `{}`", metric.unit, definition.unit),
        );
    }
    if !is_recorded_with(metric, definition.instrument) {
        at.report(
            found,
            Rule::MetricInstrument,
            format!("it is no {}", called(definition.instrument)),
        );
    }
}

fn is_recorded_with(metric: &Metric, instrument: Instrument) -> bool {
    match (&metric.data, instrument) {
        (Some(Data::Sum(sum)), Instrument::Counter) => sum.is_monotonic,
        (Some(Data::Sum(sum)), Instrument::UpDownCounter) => !sum.is_monotonic,
        (Some(Data::Gauge(_)), Instrument::Gauge)
        | (Some(Data::Histogram(_) | Data::ExponentialHistogram(_)), Instrument::Histogram) => true,
        _ => false,
    }
}

const fn called(instrument: Instrument) -> &'static str {
    match instrument {
        Instrument::Counter => "sum that only grows",
        Instrument::UpDownCounter => "sum that grows and shrinks",
        Instrument::Gauge => "gauge",
        Instrument::Histogram => "histogram",
    }
}

fn points(
    at: &At<'_>,
    metric: &Metric,
    definition: Option<&'static Definition>,
    found: Found<'_>,
) -> u64 {
    let mut count = 0;
    let mut point = |labels: &[KeyValue], start: u64, end: u64, found: Found<'_>| {
        count += 1;
        attributes::check(at, labels, found);
        if let Some(definition) = definition {
            let requirements = &definition.requirements;
            attributes::require(at, labels, requirements, Circumstances::default(), found);
        }
        if end < start {
            at.report(found, Rule::TimeInverted, "a point ends before it begins");
        }
    };
    match &metric.data {
        Some(Data::Gauge(gauge)) => {
            for one in &gauge.data_points {
                // A gauge's point has no beginning of its own.
                point(&one.attributes, 0, one.time_unix_nano, found);
            }
        }
        Some(Data::Sum(sum)) => {
            for one in &sum.data_points {
                point(
                    &one.attributes,
                    one.start_time_unix_nano,
                    one.time_unix_nano,
                    found,
                );
            }
        }
        Some(Data::Histogram(histogram)) => {
            for one in &histogram.data_points {
                point(
                    &one.attributes,
                    one.start_time_unix_nano,
                    one.time_unix_nano,
                    found,
                );
                if !adds_up(one) {
                    contradicts(at, found);
                }
            }
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            for one in &histogram.data_points {
                point(
                    &one.attributes,
                    one.start_time_unix_nano,
                    one.time_unix_nano,
                    found,
                );
                if !adds_up_exponential(one) {
                    contradicts(at, found);
                }
            }
        }
        Some(Data::Summary(summary)) => {
            for one in &summary.data_points {
                point(
                    &one.attributes,
                    one.start_time_unix_nano,
                    one.time_unix_nano,
                    found,
                );
            }
        }
        None => {}
    }
    count
}

fn contradicts(at: &At<'_>, found: Found<'_>) {
    at.report(
        found,
        Rule::HistogramContradicts,
        "its buckets do not add up to its count",
    );
}

fn adds_up(point: &HistogramDataPoint) -> bool {
    let buckets = &point.bucket_counts;
    if buckets.is_empty() {
        return point.explicit_bounds.is_empty();
    }
    buckets.len() == point.explicit_bounds.len() + 1 && sum(buckets) == Some(point.count)
}

fn adds_up_exponential(point: &ExponentialHistogramDataPoint) -> bool {
    let side = |counts: Option<&Vec<u64>>| counts.map_or(Some(0), |counts| sum(counts));
    let positive = side(point.positive.as_ref().map(|side| &side.bucket_counts));
    let negative = side(point.negative.as_ref().map(|side| &side.bucket_counts));
    positive
        .zip(negative)
        .and_then(|(positive, negative)| positive.checked_add(negative))
        .and_then(|both| both.checked_add(point.zero_count))
        == Some(point.count)
}

fn sum(counts: &[u64]) -> Option<u64> {
    counts
        .iter()
        .try_fold(0_u64, |sum, count| sum.checked_add(*count))
}
