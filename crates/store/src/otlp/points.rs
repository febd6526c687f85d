//! Metrics: a row is a data point; what its metric says of itself is kept once.

use super::Broken;
use crate::block::{Builders, Origin, Row, Signal, point};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use prost::Message;

/// A data point of any kind: its attributes and times lie in columns.
trait Point: Message + Default {
    fn labels(&self) -> &[KeyValue];
    fn attributes(&mut self) -> &mut Vec<KeyValue>;
    /// The point's time, then its start, ns since 1970.
    fn times(&mut self) -> (&mut u64, &mut u64);
}

macro_rules! point {
    ($($name:ident),*) => {$(
        impl Point for opentelemetry_proto::tonic::metrics::v1::$name {
            fn labels(&self) -> &[KeyValue] {
                &self.attributes
            }
            fn attributes(&mut self) -> &mut Vec<KeyValue> {
                &mut self.attributes
            }
            fn times(&mut self) -> (&mut u64, &mut u64) {
                (&mut self.time_unix_nano, &mut self.start_time_unix_nano)
            }
        }
    )*};
}
point!(
    NumberDataPoint,
    HistogramDataPoint,
    ExponentialHistogramDataPoint,
    SummaryDataPoint
);

/// Adds the points of a metric. A metric without points leaves no row.
pub(super) fn feed(builders: &mut Builders, origin: Origin<'_>, mut metric: Metric) {
    match metric.data.as_mut() {
        None => {}
        Some(Data::Gauge(data)) => {
            let points = std::mem::take(&mut data.data_points);
            each(builders, origin, 1, &metric, points);
        }
        Some(Data::Sum(data)) => {
            let points = std::mem::take(&mut data.data_points);
            each(builders, origin, 2, &metric, points);
        }
        Some(Data::Histogram(data)) => {
            let points = std::mem::take(&mut data.data_points);
            each(builders, origin, 3, &metric, points);
        }
        Some(Data::ExponentialHistogram(data)) => {
            let points = std::mem::take(&mut data.data_points);
            each(builders, origin, 4, &metric, points);
        }
        Some(Data::Summary(data)) => {
            let points = std::mem::take(&mut data.data_points);
            each(builders, origin, 5, &metric, points);
        }
    }
}

/// Attributes of the point that has the most.
pub(super) fn most_attributes(metric: &Metric) -> usize {
    fn most<P: Point>(points: &[P]) -> usize {
        let counts = points.iter().map(|point| point.labels().len());
        counts.max().unwrap_or(0)
    }
    match &metric.data {
        None => 0,
        Some(Data::Gauge(data)) => most(&data.data_points),
        Some(Data::Sum(data)) => most(&data.data_points),
        Some(Data::Histogram(data)) => most(&data.data_points),
        Some(Data::ExponentialHistogram(data)) => most(&data.data_points),
        Some(Data::Summary(data)) => most(&data.data_points),
    }
}

/// `metric` has no points any more.
fn each<P: Point>(
    builders: &mut Builders,
    origin: Origin<'_>,
    kind: u64,
    metric: &Metric,
    points: Vec<P>,
) {
    let descriptor = metric.encode_to_vec();
    for mut point in points {
        let attributes = std::mem::take(point.attributes());
        let (time, start) = point.times();
        let (time, start) = (std::mem::take(time), std::mem::take(start));
        builders.of(Signal::Metrics).push(
            origin,
            &[time, time.wrapping_sub(start), kind],
            &[
                metric.name.as_bytes(),
                &[],
                &[],
                &descriptor,
                &point.encode_to_vec(),
            ],
            &attributes,
        );
    }
}

/// Adds a row to the latest of these metrics if it belongs to it, else to a new one.
pub(super) fn gather(metrics: &mut Vec<Metric>, row: Row) -> Result<(), Broken> {
    let descriptor = Metric::decode(&*row.texts[point::DESCRIPTOR])?;
    let same = metrics.last().is_some_and(|last| is_of(last, &descriptor));
    if !same {
        metrics.push(descriptor);
    }
    let metric = metrics.last_mut().ok_or(Broken("no metric"))?;
    match metric.data.as_mut() {
        None => Err(Broken("a point of no metric")),
        Some(Data::Gauge(data)) => add(&mut data.data_points, row),
        Some(Data::Sum(data)) => add(&mut data.data_points, row),
        Some(Data::Histogram(data)) => add(&mut data.data_points, row),
        Some(Data::ExponentialHistogram(data)) => add(&mut data.data_points, row),
        Some(Data::Summary(data)) => add(&mut data.data_points, row),
    }
}

/// Whether a metric with points is of this descriptor.
fn is_of(metric: &Metric, descriptor: &Metric) -> bool {
    let kind = match (&metric.data, &descriptor.data) {
        (Some(Data::Gauge(_)), Some(Data::Gauge(_)))
        | (Some(Data::Summary(_)), Some(Data::Summary(_))) => true,
        (Some(Data::Sum(one)), Some(Data::Sum(other))) => {
            one.aggregation_temporality == other.aggregation_temporality
                && one.is_monotonic == other.is_monotonic
        }
        (Some(Data::Histogram(one)), Some(Data::Histogram(other))) => {
            one.aggregation_temporality == other.aggregation_temporality
        }
        (Some(Data::ExponentialHistogram(one)), Some(Data::ExponentialHistogram(other))) => {
            one.aggregation_temporality == other.aggregation_temporality
        }
        _ => false,
    };
    kind && metric.name == descriptor.name
        && metric.unit == descriptor.unit
        && metric.description == descriptor.description
        && metric.metadata == descriptor.metadata
}

fn add<P: Point>(points: &mut Vec<P>, row: Row) -> Result<(), Broken> {
    let mut one = P::decode(&*row.texts[point::POINT])?;
    *one.attributes() = row.attributes;
    let at = row.numbers[crate::block::TIME];
    let (time, start) = one.times();
    *time = at;
    *start = at.wrapping_sub(row.numbers[point::STARTED]);
    points.push(one);
    Ok(())
}
