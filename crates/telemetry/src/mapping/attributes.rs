//! Attributes as they are gathered.

use crate::value::{IntoValue, find, key_value};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use std::time::Duration;

/// Collects attributes: those with a value are kept.
pub(super) struct Attributes(Vec<KeyValue>);

impl Attributes {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// Sets what has no value here yet.
    pub(super) fn set_new(&mut self, key: &str, value: impl IntoValue) {
        if find(&self.0, key).is_none() {
            self.0.push(key_value(key, value));
        }
    }

    pub(super) fn set(&mut self, key: &'static str, value: Option<impl IntoValue>) {
        if let Some(value) = value {
            self.0.push(key_value(key, value));
        }
    }

    /// A count of tokens. One above `i64::MAX` is no count.
    pub(super) fn count(&mut self, key: &'static str, count: Option<u64>) {
        self.set(key, count.and_then(|count| i64::try_from(count).ok()));
    }

    /// A duration in seconds.
    pub(super) fn seconds(&mut self, key: &'static str, time: Option<Duration>) {
        self.set(key, time.map(|time| time.as_secs_f64()));
    }

    pub(super) fn into_vec(self) -> Vec<KeyValue> {
        self.0
    }
}
