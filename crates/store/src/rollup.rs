//! Sums over the spans of model requests, kept beside each block so that a question over all time
//! reads no span.

use crate::codec::{Cursor, Malformed, put, put_bytes};
use std::collections::BTreeMap;

/// What spans are summed up by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RollupKey {
    /// Minutes since 1970 at which the spans began.
    pub minute: u64,
    /// `service.name` of the resource.
    pub service: String,
    /// `gen_ai.request.model`.
    pub model: String,
    /// `gen_ai.operation.name`.
    pub operation: String,
    /// Whether the spans have error status.
    pub failed: bool,
}

/// Sums over spans. Tokens and times count only spans that state them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rollup {
    /// Spans.
    pub spans: u64,
    /// `gen_ai.usage.input_tokens`.
    pub input_tokens: u64,
    /// `gen_ai.usage.cache_read.input_tokens`.
    pub cached_tokens: u64,
    /// `gen_ai.usage.output_tokens`.
    pub output_tokens: u64,
    /// Durations, ns.
    pub duration: Histogram,
    /// Times to first chunk, ns.
    pub first_chunk: Histogram,
    /// Energy, microjoules.
    pub microjoules: u64,
}

/// Times in buckets an eighth of a power of two wide (within 4.5 % of the true value).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: BTreeMap<u16, u64>,
    sum: u64,
}

/// Buckets of one power of two.
const STEPS: f64 = 8.0;

/// Adds to a sum, up to the largest: what a span states may be any number.
pub(crate) fn add_to(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

impl Histogram {
    /// Counts a time, ns.
    #[expect(
        clippy::cast_sign_loss,
        reason = "the logarithm of 1 and more is not negative"
    )]
    pub fn add(&mut self, nanos: u64) {
        let bucket = (nanos.max(1) as f64).log2() * STEPS;
        add_to(self.buckets.entry(bucket as u16).or_default(), 1);
        add_to(&mut self.sum, nanos);
    }

    /// How many times were counted.
    pub fn count(&self) -> u64 {
        self.buckets.values().copied().fold(0, u64::saturating_add)
    }

    /// All times together, ns.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The time that this share of the times does not exceed, ns, to the middle of its bucket.
    #[expect(clippy::cast_sign_loss, reason = "the rank is at least 1")]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let count = self.count();
        let rank = (share.clamp(0.0, 1.0) * count as f64).ceil().max(1.0) as u64;
        let mut seen = 0_u64;
        self.buckets.iter().find_map(|(bucket, inside)| {
            seen = seen.saturating_add(*inside);
            (seen >= rank).then(|| ((f64::from(*bucket) + 0.5) / STEPS).exp2())
        })
    }

    /// Adds another's times.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            add_to(self.buckets.entry(*bucket).or_default(), *count);
        }
        add_to(&mut self.sum, other.sum);
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.sum);
        put(out, self.buckets.len() as u64);
        for (bucket, count) in &self.buckets {
            put(out, u64::from(*bucket));
            put(out, *count);
        }
    }

    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let sum = cursor.number()?;
        let mut buckets = BTreeMap::new();
        for _ in 0..cursor.count()? {
            let bucket = u16::try_from(cursor.number()?).or(Err(Malformed))?;
            buckets.insert(bucket, cursor.number()?);
        }
        Ok(Self { buckets, sum })
    }
}

impl Rollup {
    /// Adds another's sums.
    pub fn merge(&mut self, other: &Self) {
        add_to(&mut self.spans, other.spans);
        add_to(&mut self.input_tokens, other.input_tokens);
        add_to(&mut self.cached_tokens, other.cached_tokens);
        add_to(&mut self.output_tokens, other.output_tokens);
        add_to(&mut self.microjoules, other.microjoules);
        self.duration.merge(&other.duration);
        self.first_chunk.merge(&other.first_chunk);
    }
}

/// Sums by key.
pub type Rollups = BTreeMap<RollupKey, Rollup>;

/// What spans of all times are summed up by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TotalKey {
    /// `service.name` of the resource.
    pub service: String,
    /// `gen_ai.request.model`.
    pub model: String,
    /// `gen_ai.operation.name`.
    pub operation: String,
    /// Whether the spans have error status.
    pub failed: bool,
}

/// Sums over a stretch of time.
pub type Totals = BTreeMap<TotalKey, Rollup>;

impl From<&RollupKey> for TotalKey {
    fn from(key: &RollupKey) -> Self {
        Self {
            service: key.service.clone(),
            model: key.model.clone(),
            operation: key.operation.clone(),
            failed: key.failed,
        }
    }
}

/// Sums of minutes as sums over all of them.
pub(crate) fn totals(rollups: &Rollups) -> Totals {
    let mut all = Totals::new();
    for (key, sums) in rollups {
        all.entry(key.into()).or_default().merge(sums);
    }
    all
}

impl Rollup {
    fn encode(&self, out: &mut Vec<u8>) {
        for number in [
            self.spans,
            self.input_tokens,
            self.cached_tokens,
            self.output_tokens,
            self.microjoules,
        ] {
            put(out, number);
        }
        self.duration.encode(out);
        self.first_chunk.encode(out);
    }

    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            spans: cursor.number()?,
            input_tokens: cursor.number()?,
            cached_tokens: cursor.number()?,
            output_tokens: cursor.number()?,
            microjoules: cursor.number()?,
            duration: Histogram::decode(cursor)?,
            first_chunk: Histogram::decode(cursor)?,
        })
    }
}

impl TotalKey {
    fn encode(&self, out: &mut Vec<u8>) {
        for text in [&self.service, &self.model, &self.operation] {
            put_bytes(out, text.as_bytes());
        }
        put(out, u64::from(self.failed));
    }

    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let mut text = || String::from_utf8(cursor.bytes()?.to_vec()).or(Err(Malformed));
        Ok(Self {
            service: text()?,
            model: text()?,
            operation: text()?,
            failed: cursor.number()? != 0,
        })
    }
}

pub(crate) fn encode_totals(totals: &Totals, out: &mut Vec<u8>) {
    put(out, totals.len() as u64);
    for (key, sums) in totals {
        key.encode(out);
        sums.encode(out);
    }
}

pub(crate) fn decode_totals(cursor: &mut Cursor<'_>) -> Result<Totals, Malformed> {
    (0..cursor.count()?)
        .map(|_| Ok((TotalKey::decode(cursor)?, Rollup::decode(cursor)?)))
        .collect()
}

pub(crate) fn encode(rollups: &Rollups, out: &mut Vec<u8>) {
    put(out, rollups.len() as u64);
    for (key, sums) in rollups {
        put(out, key.minute);
        TotalKey::from(key).encode(out);
        sums.encode(out);
    }
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Rollups, Malformed> {
    let mut cursor = Cursor::new(bytes);
    let mut rollups = Rollups::new();
    for _ in 0..cursor.count()? {
        let minute = cursor.number()?;
        let TotalKey {
            service,
            model,
            operation,
            failed,
        } = TotalKey::decode(&mut cursor)?;
        let key = RollupKey {
            minute,
            service,
            model,
            operation,
            failed,
        };
        rollups.insert(key, Rollup::decode(&mut cursor)?);
    }
    Ok(rollups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_bucket() {
        let mut times = Histogram::default();
        (1..=1000).for_each(|n| times.add(n * 1_000_000));
        for (share, true_value) in [(0.5, 5e8), (0.99, 9.9e8), (1.0, 1e9)] {
            let found = times.quantile(share).unwrap();
            assert!((found / true_value - 1.0).abs() < 0.1, "{share}: {found}");
        }
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn rollups_survive() {
        let key = RollupKey {
            minute: 29_000_000,
            service: "a".into(),
            model: "smollm2".into(),
            operation: "chat".into(),
            failed: false,
        };
        let mut sums = Rollup {
            spans: 3,
            output_tokens: 48,
            ..Rollup::default()
        };
        sums.duration.add(7_000_000);
        let all = Rollups::from([(key, sums)]);
        let mut out = Vec::new();
        encode(&all, &mut out);
        assert_eq!(decode(&out), Ok(all));
        assert_eq!(decode(&out[..out.len() - 1]), Err(Malformed));
    }
}
