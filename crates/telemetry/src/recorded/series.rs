//! Points of metrics in one line each.

use super::Moment;
use super::log::json;
use crate::check::Document;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data, number_data_point::Value};
use serde::Serialize;
use std::collections::BTreeMap;

/// A point of a metric. Of a distribution there is no value, but a count and a sum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// When it was measured.
    pub time: Moment,
    /// The metric's name.
    pub metric: String,
    /// Its unit, as UCUM writes it; empty if none is stated.
    pub unit: String,
    /// The value of a gauge or counter.
    pub value: Option<f64>,
    /// How many measurements a distribution has.
    pub count: Option<u64>,
    /// Their sum.
    pub sum: Option<f64>,
    /// Attributes of the point.
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// The points of a document.
pub(super) fn points(document: Document) -> Vec<Point> {
    let resources = document.metrics.into_iter().flatten();
    let scopes = resources.flat_map(|from| from.scope_metrics);
    scopes
        .flat_map(|scope| scope.metrics)
        .flat_map(points_of)
        .collect()
}

fn points_of(metric: Metric) -> Vec<Point> {
    let (name, unit) = (metric.name, metric.unit);
    let point = |time, value, count, sum, attributes: Vec<KeyValue>| Point {
        time: Moment(time),
        metric: name.clone(),
        unit: unit.clone(),
        value,
        count,
        sum,
        attributes: attributes
            .into_iter()
            .map(|one| (one.key, one.value.map_or(serde_json::Value::Null, json)))
            .collect(),
    };
    match metric.data {
        None => Vec::new(),
        Some(Data::Gauge(data)) => numbers(data.data_points, &point),
        Some(Data::Sum(data)) => numbers(data.data_points, &point),
        Some(Data::Histogram(data)) => {
            let points = data.data_points.into_iter();
            points
                .map(|of| {
                    point(
                        of.time_unix_nano,
                        None,
                        Some(of.count),
                        of.sum,
                        of.attributes,
                    )
                })
                .collect()
        }
        Some(Data::ExponentialHistogram(data)) => {
            let points = data.data_points.into_iter();
            points
                .map(|of| {
                    point(
                        of.time_unix_nano,
                        None,
                        Some(of.count),
                        of.sum,
                        of.attributes,
                    )
                })
                .collect()
        }
        Some(Data::Summary(data)) => {
            let points = data.data_points.into_iter();
            points
                .map(|of| {
                    let sum = Some(of.sum);
                    point(of.time_unix_nano, None, Some(of.count), sum, of.attributes)
                })
                .collect()
        }
    }
}

fn numbers(
    points: Vec<opentelemetry_proto::tonic::metrics::v1::NumberDataPoint>,
    point: &impl Fn(u64, Option<f64>, Option<u64>, Option<f64>, Vec<KeyValue>) -> Point,
) -> Vec<Point> {
    let points = points.into_iter();
    points
        .map(|of| {
            let value = of.value.map(|value| match value {
                Value::AsDouble(value) => value,
                Value::AsInt(value) => value as f64,
            });
            point(of.time_unix_nano, value, None, None, of.attributes)
        })
        .collect()
}
