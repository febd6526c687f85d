//! Series as OTLP's own messages, cumulative or as differences.

use super::aggregate::{Exemplar, Histogram};
use super::attributes::{Attributes, Value};
use super::instrument::{Kind, Number};
use super::names::Id;
use super::registry::{Aggregate, Registry, Series};
use crate::value::key_value;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    self as proto, AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint,
    Gauge, HistogramDataPoint, Metric, NumberDataPoint, Sum, exemplar, metric, number_data_point,
};
use std::collections::HashMap;

/// `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Temporality {
    /// Everything since its start.
    #[default]
    Cumulative,
    /// Counters and histograms since the last collection.
    Delta,
    /// The same, but for counters that somebody else keeps.
    LowMemory,
}

impl Temporality {
    /// Whether an instrument is told as differences. What goes both ways never is.
    fn is_delta(self, kind: Kind) -> bool {
        match kind {
            Kind::Counter | Kind::Histogram(_) => self != Self::Cumulative,
            Kind::ObservableCounter => self == Self::Delta,
            Kind::UpDownCounter | Kind::Gauge => false,
        }
    }
}

/// Collects for OTLP, and remembers what it collected last where differences are asked for.
#[derive(Debug)]
pub(crate) struct Collector {
    temporality: Temporality,
    last: HashMap<(Id, Attributes), Aggregate>,
    /// When the last collection was, nanoseconds since 1970.
    collected: u64,
}

impl Collector {
    pub(crate) fn new(temporality: Temporality, now: u64) -> Self {
        Self {
            temporality,
            last: HashMap::new(),
            collected: now,
        }
    }

    /// Every instrument's points. Where differences are told, series without one are left out.
    pub(crate) fn collect(&mut self, registry: &Registry, now: u64) -> Vec<Metric> {
        let since = std::mem::replace(&mut self.collected, now);
        let mut metrics = Vec::new();
        for (id, series) in registry.families() {
            let instrument = id.instrument();
            let delta = self.temporality.is_delta(instrument.kind);
            let mut points = Points::new(id, delta, now);
            for series in series {
                if !delta {
                    points.add(&series.attributes, series.started, &series.value);
                    continue;
                }
                let key = (id, series.attributes.clone());
                let last = self.last.insert(key, series.value.clone());
                if let Some(difference) = difference(series, last.as_ref()) {
                    points.add(&series.attributes, series.started.max(since), &difference);
                }
            }
            metrics.extend(points.into_metric());
        }
        metrics
    }
}

/// What was added since the last collection, if anything was.
fn difference(series: &Series, last: Option<&Aggregate>) -> Option<Aggregate> {
    match (&series.value, last) {
        (
            Aggregate::Sum { value, exemplar },
            Some(Aggregate::Sum {
                value: before,
                exemplar: old,
            }),
        ) => (value > before).then(|| Aggregate::Sum {
            value: value - before,
            exemplar: exemplar.filter(|_| exemplar != old),
        }),
        (Aggregate::Histogram(now), Some(Aggregate::Histogram(before))) => {
            let since = now.since(before)?;
            Some(Aggregate::Histogram(Box::new(since)))
        }
        (value, _) => Some(value.clone()),
    }
}

/// The points of one instrument.
struct Points {
    id: Id,
    temporality: AggregationTemporality,
    now: u64,
    numbers: Vec<NumberDataPoint>,
    histograms: Vec<HistogramDataPoint>,
    exponential: Vec<ExponentialHistogramDataPoint>,
}

impl Points {
    fn new(id: Id, delta: bool, now: u64) -> Self {
        Self {
            id,
            temporality: if delta {
                AggregationTemporality::Delta
            } else {
                AggregationTemporality::Cumulative
            },
            now,
            numbers: Vec::new(),
            histograms: Vec::new(),
            exponential: Vec::new(),
        }
    }

    fn add(&mut self, attributes: &Attributes, started: u64, value: &Aggregate) {
        let attributes: Vec<KeyValue> = attributes
            .iter()
            .map(|(key, value)| attribute(key, value))
            .collect();
        let number = |value, started, exemplars| NumberDataPoint {
            attributes: attributes.clone(),
            start_time_unix_nano: started,
            time_unix_nano: self.now,
            exemplars,
            flags: 0,
            value: Some(self.number(value)),
        };
        match value {
            Aggregate::Sum { value, exemplar } => {
                let exemplars = exemplar.iter().map(|found| self.exemplar(found)).collect();
                self.numbers.push(number(*value, started, exemplars));
            }
            // A last value has no beginning.
            Aggregate::Last(value) => self.numbers.push(number(*value, 0, Vec::new())),
            Aggregate::Histogram(histogram) => self.histogram(attributes, started, histogram),
        }
    }

    fn histogram(&mut self, attributes: Vec<KeyValue>, started: u64, histogram: &Histogram) {
        let exemplars = histogram.exemplars().map(|found| self.exemplar(found));
        let exemplars = exemplars.collect();
        let (min, max) = histogram.extremes.unzip();
        let Some(exponential) = &histogram.exponential else {
            self.histograms.push(HistogramDataPoint {
                attributes,
                start_time_unix_nano: started,
                time_unix_nano: self.now,
                count: histogram.count,
                sum: Some(histogram.sum),
                bucket_counts: histogram.explicit.counts().to_vec(),
                explicit_bounds: histogram.explicit.bounds().to_vec(),
                exemplars,
                flags: 0,
                min,
                max,
            });
            return;
        };
        self.exponential.push(ExponentialHistogramDataPoint {
            attributes,
            start_time_unix_nano: started,
            time_unix_nano: self.now,
            count: histogram.count,
            sum: Some(histogram.sum),
            scale: exponential.scale(),
            zero_count: exponential.zero(),
            positive: Some(Buckets {
                offset: exponential.offset(),
                bucket_counts: exponential.counts().collect(),
            }),
            negative: None,
            flags: 0,
            exemplars,
            min,
            max,
            zero_threshold: 0.0,
        });
    }

    fn number(&self, value: f64) -> number_data_point::Value {
        match self.id.instrument().number {
            Number::Whole => number_data_point::Value::AsInt(whole(value)),
            Number::Real => number_data_point::Value::AsDouble(value),
        }
    }

    fn exemplar(&self, exemplar: &Exemplar) -> proto::Exemplar {
        proto::Exemplar {
            filtered_attributes: Vec::new(),
            time_unix_nano: exemplar.at,
            span_id: exemplar.span_id.0.to_vec(),
            trace_id: exemplar.trace_id.0.to_vec(),
            value: Some(match self.id.instrument().number {
                Number::Whole => exemplar::Value::AsInt(whole(exemplar.value)),
                Number::Real => exemplar::Value::AsDouble(exemplar.value),
            }),
        }
    }

    fn into_metric(self) -> Option<Metric> {
        let instrument = self.id.instrument();
        let temporality = self.temporality.into();
        let data = match instrument.kind {
            _ if !self.exponential.is_empty() => {
                metric::Data::ExponentialHistogram(ExponentialHistogram {
                    data_points: self.exponential,
                    aggregation_temporality: temporality,
                })
            }
            _ if !self.histograms.is_empty() => metric::Data::Histogram(proto::Histogram {
                data_points: self.histograms,
                aggregation_temporality: temporality,
            }),
            _ if self.numbers.is_empty() => return None,
            Kind::Gauge => metric::Data::Gauge(Gauge {
                data_points: self.numbers,
            }),
            kind => metric::Data::Sum(Sum {
                data_points: self.numbers,
                aggregation_temporality: temporality,
                is_monotonic: kind.is_monotone(),
            }),
        };
        Some(Metric {
            name: instrument.name.to_owned(),
            description: instrument.what.to_owned(),
            unit: instrument.unit.to_owned(),
            metadata: Vec::new(),
            data: Some(data),
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "counts are whole numbers; one beyond 2^63 is as good as the greatest"
)]
fn whole(value: f64) -> i64 {
    value as i64
}

fn attribute(key: &str, value: &Value) -> KeyValue {
    match value {
        Value::Text(text) => key_value(key, &**text),
        Value::Integer(number) => key_value(key, *number),
    }
}

#[cfg(test)]
mod tests;
