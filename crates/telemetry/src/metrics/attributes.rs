//! Sets of attributes that tell series of one instrument apart.

use std::sync::Arc;

/// An attribute's value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Value {
    Text(Arc<str>),
    Integer(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

/// A set of attributes, ordered by key. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Attributes(Arc<[(&'static str, Value)]>);

impl Default for Attributes {
    fn default() -> Self {
        Self(Arc::new([]))
    }
}

impl Attributes {
    /// The series that takes what exceeds the limit of series.
    pub(crate) fn overflow() -> Self {
        Self::default().with("otel.metric.overflow", "true")
    }

    /// The same and one attribute more; a value under the same key is replaced.
    #[must_use]
    pub(crate) fn with(&self, key: &'static str, value: impl Into<Value>) -> Self {
        let mut all = self.0.to_vec();
        let value = value.into();
        match all.binary_search_by_key(&key, |(key, _)| key) {
            Ok(place) => all[place].1 = value,
            Err(place) => all.insert(place, (key, value)),
        }
        Self(all.into())
    }

    /// The same and one attribute more, if there is a value.
    #[must_use]
    pub(crate) fn with_some(&self, key: &'static str, value: Option<impl Into<Value>>) -> Self {
        value.map_or_else(|| self.clone(), |value| self.with(key, value))
    }

    /// The same without what stands under this key.
    #[must_use]
    pub(crate) fn without(&self, key: &str) -> Self {
        let kept = self.0.iter().filter(|(own, _)| *own != key);
        Self(kept.cloned().collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }
}
