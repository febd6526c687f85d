//! Base-2 exponential histograms by OTLP's rules.
//!
//! At scale `s` bucket `i` holds the values in (2^(i/2^s), 2^((i+1)/2^s)]. A histogram begins at
//! [`MAX_SCALE`] and halves its resolution whenever its values no longer fit into [`MAX_BUCKETS`].
//! The mapping is exact: no logarithm is taken, the significand is compared with the boundaries.

use super::boundaries::BOUNDARIES;
use std::collections::VecDeque;

/// The finest resolution: 256 buckets an octave, each 0.27 % wide. Values that span two decades end
/// four steps below it, so a finer one would help only where all values are nearly the same.
pub(crate) const MAX_SCALE: i32 = 8;
/// Buckets at most; OpenTelemetry's default.
pub(crate) const MAX_BUCKETS: usize = 160;

/// Significant bits of a double after the leading one.
const FRACTION: u32 = 52;

/// A histogram of values that are not negative.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Exponential {
    scale: i32,
    /// The index of the first bucket.
    offset: i32,
    counts: VecDeque<u64>,
    /// Values that were zero.
    zero: u64,
}

impl Default for Exponential {
    fn default() -> Self {
        Self {
            scale: MAX_SCALE,
            offset: 0,
            counts: VecDeque::new(),
            zero: 0,
        }
    }
}

impl Exponential {
    /// Counts a value, which is finite and not negative.
    pub(crate) fn record(&mut self, value: f64) {
        let Some(finest) = finest_index(value) else {
            self.zero += 1;
            return;
        };
        let index = finest >> (MAX_SCALE - self.scale);
        let (low, high) = match self.ends() {
            None => (index, index),
            Some((low, high)) => (low.min(index), high.max(index)),
        };
        self.make_room(low, high);
        let place = (finest >> (MAX_SCALE - self.scale)) - self.offset;
        // `make_room` put the index into the range.
        if let Some(count) = usize::try_from(place)
            .ok()
            .and_then(|place| self.counts.get_mut(place))
        {
            *count += 1;
        }
    }

    /// What was counted since `earlier`, which is an earlier state of this histogram.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let mut earlier = earlier.clone();
        earlier.coarsen(earlier.scale - self.scale);
        let mut since = self.clone();
        since.zero = since.zero.saturating_sub(earlier.zero);
        for (index, before) in (earlier.offset..).zip(&earlier.counts) {
            let place = usize::try_from(index - since.offset).ok();
            if let Some(count) = place.and_then(|place| since.counts.get_mut(place)) {
                *count = count.saturating_sub(*before);
            }
        }
        since.trim();
        since
    }

    pub(crate) fn scale(&self) -> i32 {
        self.scale
    }

    /// The index of the first bucket.
    pub(crate) fn offset(&self) -> i32 {
        self.offset
    }

    /// The buckets from the first on.
    pub(crate) fn counts(&self) -> impl Iterator<Item = u64> {
        self.counts.iter().copied()
    }

    pub(crate) fn zero(&self) -> u64 {
        self.zero
    }

    /// Adds what another histogram counted; the result has the coarser of both resolutions, or a
    /// coarser one still if it must.
    #[cfg(test)]
    pub(crate) fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        let scale = self.scale.min(other.scale);
        self.coarsen(self.scale - scale);
        other.coarsen(other.scale - scale);
        self.zero += other.zero;
        let Some((low, high)) = other.ends() else {
            return;
        };
        let (first, last) = self.ends().unwrap_or((low, high));
        self.make_room(low.min(first), high.max(last));
        other.coarsen(other.scale - self.scale);
        for (index, count) in (other.offset..).zip(&other.counts) {
            let place = usize::try_from(index - self.offset).expect("room was made");
            self.counts[place] += count;
        }
    }

    /// The first and the last index, if there is any.
    fn ends(&self) -> Option<(i32, i32)> {
        let last = i32::try_from(self.counts.len()).ok()? - 1;
        (last >= 0).then_some((self.offset, self.offset + last))
    }

    /// Makes the range hold `low` to `high`, indexes of the present scale that contain the present
    /// range, at a coarser scale if they are too many.
    fn make_room(&mut self, mut low: i32, mut high: i32) {
        let mut shift = 0;
        while usize::try_from(high - low).map_or(true, |span| span >= MAX_BUCKETS) {
            (low, high) = (low >> 1, high >> 1);
            shift += 1;
        }
        self.coarsen(shift);
        if self.counts.is_empty() {
            self.offset = low;
        }
        while self.offset > low {
            self.counts.push_front(0);
            self.offset -= 1;
        }
        while self.ends().is_none_or(|(_, last)| last < high) {
            self.counts.push_back(0);
        }
    }

    /// Halves the resolution so many times: neighbours fall together.
    fn coarsen(&mut self, shift: i32) {
        if shift <= 0 {
            return;
        }
        let mut coarse = Self {
            scale: self.scale - shift,
            offset: self.offset >> shift,
            counts: VecDeque::new(),
            zero: self.zero,
        };
        for (index, count) in (self.offset..).zip(&self.counts) {
            let place = usize::try_from((index >> shift) - coarse.offset).unwrap_or_default();
            if coarse.counts.len() <= place {
                coarse.counts.resize(place + 1, 0);
            }
            coarse.counts[place] += count;
        }
        *self = coarse;
    }

    /// Forgets empty buckets at both ends.
    fn trim(&mut self) {
        while self.counts.back() == Some(&0) {
            self.counts.pop_back();
        }
        while self.counts.front() == Some(&0) {
            self.counts.pop_front();
            self.offset += 1;
        }
    }
}

/// The bucket of a positive value at [`MAX_SCALE`]. `None` for zero.
fn finest_index(value: f64) -> Option<i32> {
    let bits = value.to_bits();
    let fraction = bits & ((1 << FRACTION) - 1);
    let exponent = i32::try_from((bits >> FRACTION) & 0x7ff).unwrap_or_default();
    let (significand, exponent) = match (exponent, fraction) {
        (0, 0) => return None,
        // A subnormal: its leading one is moved to where a normal number has it.
        (0, fraction) => {
            let shift = fraction.leading_zeros() - (u64::BITS - 1 - FRACTION);
            let exponent = -1022 - i32::try_from(shift).unwrap_or_default();
            (fraction << shift, exponent)
        }
        (exponent, fraction) => (fraction | 1 << FRACTION, exponent - 1023),
    };
    // An exact power of two is no greater than its own boundary: it ends the bucket before.
    let passed = BOUNDARIES.partition_point(|boundary| *boundary < significand);
    Some((exponent << MAX_SCALE) + i32::try_from(passed).unwrap_or_default() - 1)
}

#[cfg(test)]
mod tests;
