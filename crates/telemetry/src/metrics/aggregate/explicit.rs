//! Histograms with boundaries named beforehand.

/// Counts of the values in (…, b₀], (b₀, b₁], …, (bₙ, ∞).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Explicit {
    bounds: &'static [f64],
    counts: Box<[u64]>,
}

impl Explicit {
    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len() + 1].into(),
        }
    }

    /// Counts a value and returns its bucket.
    pub(crate) fn record(&mut self, value: f64) -> usize {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += 1;
        bucket
    }

    pub(crate) fn bounds(&self) -> &'static [f64] {
        self.bounds
    }

    /// One count a bucket, the one without an upper boundary last.
    pub(crate) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// What was counted since `earlier`, which is an earlier state of this histogram.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let pairs = self.counts.iter().zip(&earlier.counts);
        Self {
            bounds: self.bounds,
            counts: pairs
                .map(|(now, before)| now.saturating_sub(*before))
                .collect(),
        }
    }
}
