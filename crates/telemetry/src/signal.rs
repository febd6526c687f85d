//! The three signals, whose messages are alike but for their innermost part.

use crate::config::Encoding;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::LogsData;
use opentelemetry_proto::tonic::metrics::v1::{Metric, MetricsData, metric::Data};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;
use prost::encode_length_delimiter;
use std::sync::{Arc, OnceLock};

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    pub(crate) const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// The path that the standard adds to a collector's address.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Traces => "v1/traces",
            Self::Metrics => "v1/metrics",
            Self::Logs => "v1/logs",
        }
    }

    /// What the names of its spool files begin with.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// The same in the store.
    pub(crate) const fn stored(self) -> llamatelemetry_store::Signal {
        match self {
            Self::Traces => llamatelemetry_store::Signal::Traces,
            Self::Metrics => llamatelemetry_store::Signal::Metrics,
            Self::Logs => llamatelemetry_store::Signal::Logs,
        }
    }

    /// What one of its items is called, in the plural.
    pub(crate) const fn items(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Metrics => "metric points",
            Self::Logs => "log records",
        }
    }
}

/// Items of one signal, encoded: the repeated second field of `ScopeSpans`, `ScopeMetrics` or
/// `ScopeLogs`. Put one behind the other, such frames are a frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) items: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Frame {
    /// Encodes items, each of which counts as much as `weight` says.
    pub(crate) fn of<M: Message>(items: &[M], weight: impl Fn(&M) -> usize) -> Self {
        let mut frame = Self::default();
        let mut count = 0;
        for item in items {
            let encoded = item.encode_to_vec();
            field(&mut frame.bytes, 2, &encoded);
            count += weight(item);
        }
        frame.items = u32::try_from(count).unwrap_or(u32::MAX);
        frame
    }
}

/// Who made the items of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The resource, encoded.
    pub(crate) resource: Vec<u8>,
    /// The instrumentation scope, encoded.
    pub(crate) scope: Vec<u8>,
    /// Where the names of the items are defined.
    pub(crate) schema_url: String,
}

/// The origin of this program's own items: known once the pipeline's thread has looked at the
/// machine, which it does before it hands on the first item.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnOrigin(Arc<OnceLock<Arc<Origin>>>);

impl OwnOrigin {
    /// Says what it is. Only the first call counts.
    pub(crate) fn set(&self, origin: Origin) {
        self.0.set(Arc::new(origin)).ok();
    }

    /// Whether it is known by now.
    pub(crate) fn is_known(&self) -> bool {
        self.0.get().is_some()
    }

    /// What it is; waits until it is known.
    pub(crate) fn get(&self) -> &Arc<Origin> {
        self.0.wait()
    }
}

impl Origin {
    pub(crate) fn new(
        resource: &Resource,
        scope: &InstrumentationScope,
        schema_url: impl Into<String>,
    ) -> Self {
        Self {
            resource: resource.encode_to_vec(),
            scope: scope.encode_to_vec(),
            schema_url: schema_url.into(),
        }
    }

    /// The export request of these frames, laid one behind the other in `items`.
    pub(crate) fn request(&self, items: &[u8]) -> Vec<u8> {
        // The fields have the same numbers in the messages of all three signals.
        let mut scope = Vec::with_capacity(items.len() + self.scope.len() + 128);
        field(&mut scope, 1, &self.scope);
        scope.extend_from_slice(items);
        if !self.schema_url.is_empty() {
            field(&mut scope, 3, self.schema_url.as_bytes());
        }
        let mut whole = Vec::with_capacity(scope.len() + self.resource.len() + 32);
        field(&mut whole, 1, &self.resource);
        field(&mut whole, 2, &scope);
        let mut request = Vec::with_capacity(whole.len() + 16);
        field(&mut request, 1, &whole);
        request
    }
}

/// A request in the form that is asked for. `None` if the bytes are no such request, which only a
/// damaged file can cause.
pub(crate) fn encoded(signal: Signal, request: Vec<u8>, encoding: Encoding) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Protobuf => Some(request),
        Encoding::Json => json(signal, &request),
    }
}

/// An export request as OTLP's JSON. `TracesData` and its like are the same on the wire.
pub(crate) fn json(signal: Signal, request: &[u8]) -> Option<Vec<u8>> {
    match signal {
        Signal::Traces => serde_json::to_vec(&TracesData::decode(request).ok()?).ok(),
        Signal::Metrics => serde_json::to_vec(&MetricsData::decode(request).ok()?).ok(),
        Signal::Logs => serde_json::to_vec(&LogsData::decode(request).ok()?).ok(),
    }
}

/// Appends a length-delimited field. Tags here are below 16, so the key is one byte.
fn field(to: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    const LENGTH_DELIMITED: u8 = 2;
    to.push(tag << 3 | LENGTH_DELIMITED);
    // A vector grows as needed, so there is always room.
    encode_length_delimiter(bytes.len(), to).ok();
    to.extend_from_slice(bytes);
}

/// The points of a metric, which is what collectors count.
pub(crate) fn points(metric: &Metric) -> usize {
    match &metric.data {
        None => 0,
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
    }
}
