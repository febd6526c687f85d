//! What becomes of measurements: sums, last values, histograms.

mod boundaries;
mod exemplar;
mod explicit;
mod exponential;

pub(crate) use exemplar::{Exemplar, Origin};
pub(crate) use explicit::Explicit;
pub(crate) use exponential::Exponential;

/// A distribution of values that are not negative.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Histogram {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    /// Smallest and largest value; what lies between two readings has none.
    pub(crate) extremes: Option<(f64, f64)>,
    pub(crate) explicit: Explicit,
    /// Kept beside the explicit one if asked for: text formats know only explicit boundaries.
    pub(crate) exponential: Option<Exponential>,
    /// The latest exemplar of each explicit bucket; empty until there is one.
    exemplars: Vec<Option<Exemplar>>,
}

impl Histogram {
    pub(crate) fn new(bounds: &'static [f64], exponential: bool) -> Self {
        Self {
            count: 0,
            sum: 0.0,
            extremes: None,
            explicit: Explicit::new(bounds),
            exponential: exponential.then(Exponential::default),
            exemplars: Vec::new(),
        }
    }

    /// Counts a value. What is no finite number, or negative, is none of a distribution's values
    /// and is left out.
    pub(crate) fn record(&mut self, value: f64, origin: Option<Origin>) {
        if !value.is_finite() || value < 0.0 {
            return;
        }
        self.count += 1;
        self.sum += value;
        let (least, most) = self.extremes.unwrap_or((value, value));
        self.extremes = Some((least.min(value), most.max(value)));
        let bucket = self.explicit.record(value);
        if let Some(exponential) = &mut self.exponential {
            exponential.record(value);
        }
        if let Some(origin) = origin {
            self.exemplars.resize(self.explicit.counts().len(), None);
            self.exemplars[bucket] = Some(origin.exemplar(value));
        }
    }

    /// The exemplar of an explicit bucket.
    pub(crate) fn exemplar(&self, bucket: usize) -> Option<&Exemplar> {
        self.exemplars.get(bucket)?.as_ref()
    }

    /// All exemplars, one a bucket at most.
    pub(crate) fn exemplars(&self) -> impl Iterator<Item = &Exemplar> {
        self.exemplars.iter().flatten()
    }

    /// What came since `earlier`, which is an earlier state of this histogram. `None` if nothing.
    pub(crate) fn since(&self, earlier: &Self) -> Option<Self> {
        let count = self.count.checked_sub(earlier.count)?;
        let exponential = self.exponential.as_ref().zip(earlier.exponential.as_ref());
        (count > 0).then(|| Self {
            count,
            sum: self.sum - earlier.sum,
            extremes: None,
            explicit: self.explicit.since(&earlier.explicit),
            exponential: exponential.map(|(now, before)| now.since(before)),
            exemplars: self
                .exemplars
                .iter()
                .enumerate()
                .map(|(bucket, exemplar)| {
                    exemplar.filter(|exemplar| earlier.exemplar(bucket) != Some(exemplar))
                })
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llamatelemetry_record::{SpanId, TraceId};

    const BOUNDS: &[f64] = &[1.0, 2.0, 4.0];

    fn origin(at: u64) -> Origin {
        Origin {
            at,
            trace_id: TraceId([1; 16]),
            span_id: SpanId([2; 8]),
        }
    }

    #[test]
    fn boundaries_belong_to_the_bucket_below() {
        let mut histogram = Histogram::new(BOUNDS, false);
        for value in [0.0, 1.0, 1.5, 2.0, 4.0, 4.1] {
            histogram.record(value, None);
        }
        assert_eq!(histogram.explicit.counts(), [2, 2, 1, 1]);
        assert_eq!(histogram.extremes, Some((0.0, 4.1)));
    }

    #[test]
    fn what_is_no_value_is_left_out() {
        let mut histogram = Histogram::new(BOUNDS, true);
        for value in [f64::NAN, f64::INFINITY, -1.0] {
            histogram.record(value, Some(origin(1)));
        }
        assert_eq!(histogram, Histogram::new(BOUNDS, true));
    }

    #[test]
    fn the_latest_exemplar_of_each_bucket_stays() {
        let mut histogram = Histogram::new(BOUNDS, false);
        histogram.record(0.5, Some(origin(1)));
        histogram.record(0.6, Some(origin(2)));
        histogram.record(9.0, Some(origin(3)));
        histogram.record(0.7, None);
        let at: Vec<u64> = histogram.exemplars().map(|exemplar| exemplar.at).collect();
        assert_eq!(at, [2, 3]);
    }

    #[test]
    fn a_difference_has_only_what_is_new() {
        let mut histogram = Histogram::new(BOUNDS, true);
        histogram.record(0.5, Some(origin(1)));
        let earlier = histogram.clone();
        assert_eq!(histogram.since(&earlier), None);
        histogram.record(3.0, Some(origin(2)));
        let since = histogram.since(&earlier).unwrap();
        assert_eq!(
            (since.count, since.explicit.counts()),
            (1, &[0, 0, 1, 0][..])
        );
        let at: Vec<u64> = since.exemplars().map(|exemplar| exemplar.at).collect();
        assert_eq!(at, [2]);
        assert_eq!(since.extremes, None);
    }
}
