use super::*;
use proptest::prelude::*;
use std::cmp::Ordering;

/// A whole number of any size, its least digit first.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Whole(Vec<u32>);

impl Whole {
    fn from_u64(value: u64) -> Self {
        let low = u32::try_from(value & 0xffff_ffff).unwrap();
        Self(vec![low, u32::try_from(value >> 32).unwrap()]).trimmed()
    }

    fn power_of_two(exponent: usize) -> Self {
        let mut digits = vec![0; exponent / 32];
        digits.push(1 << (exponent % 32));
        Self(digits)
    }

    fn trimmed(mut self) -> Self {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    fn squared(&self) -> Self {
        let mut digits = vec![0_u32; self.0.len() * 2];
        for (i, a) in self.0.iter().enumerate() {
            let mut carry = 0_u64;
            for (j, b) in self.0.iter().enumerate() {
                let sum = u64::from(*a) * u64::from(*b) + u64::from(digits[i + j]) + carry;
                digits[i + j] = u32::try_from(sum & 0xffff_ffff).unwrap();
                carry = sum >> 32;
            }
            digits[i + self.0.len()] = u32::try_from(carry).unwrap();
        }
        Self(digits).trimmed()
    }

    fn compare(&self, other: &Self) -> Ordering {
        let digits = |whole: &Self| whole.0.iter().rev().copied().collect::<Vec<_>>();
        self.0
            .len()
            .cmp(&other.0.len())
            .then_with(|| digits(self).cmp(&digits(other)))
    }
}

/// Compares `significand / 2^52` with `2^(j/256)` by raising both to the 256th power.
fn against_boundary(significand: u64, j: usize) -> Ordering {
    let raised = (0..8).fold(Whole::from_u64(significand), |whole, _| whole.squared());
    raised.compare(&Whole::power_of_two(j + 52 * 256))
}

#[test]
fn the_boundaries_are_those_of_exact_arithmetic() {
    for (j, boundary) in BOUNDARIES.into_iter().enumerate() {
        assert_ne!(against_boundary(boundary, j), Ordering::Greater, "{j}");
        assert_eq!(against_boundary(boundary + 1, j), Ordering::Greater, "{j}");
    }
}

#[test]
fn powers_of_two_end_their_buckets() {
    for exponent in [-1022, -10, -1, 0, 1, 10, 1023] {
        let value = 2_f64.powi(exponent);
        assert_eq!(finest_index(value), Some(exponent * 256 - 1));
        let above = f64::from_bits(value.to_bits() + 1);
        assert_eq!(finest_index(above), Some(exponent * 256));
    }
    assert_eq!(finest_index(0.0), None);
    // The smallest number there is: 2^-1074.
    assert_eq!(finest_index(f64::from_bits(1)), Some(-1074 * 256 - 1));
    assert_eq!(finest_index(f64::MAX), Some(1024 * 256 - 1));
}

fn filled(values: &[f64]) -> Exponential {
    let mut histogram = Exponential::default();
    for value in values {
        histogram.record(*value);
    }
    histogram
}

fn count(histogram: &Exponential) -> u64 {
    histogram.zero() + histogram.counts().sum::<u64>()
}

/// Anything that a histogram of durations, energies or sizes may meet, the extremes included.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => 1e-6_f64..1e6,
        2 => (0_u64..0x7ff0_0000_0000_0000).prop_map(f64::from_bits),
        1 => Just(0.0),
        1 => (-40_i32..40).prop_map(|exponent| 2_f64.powi(exponent)),
    ]
}

proptest! {
    #[test]
    fn every_value_lies_within_its_bucket(bits in 1_u64..0x7ff0_0000_0000_0000) {
        let value = f64::from_bits(bits);
        let index = finest_index(value).unwrap();
        let (octave, j) = (index.div_euclid(256), index.rem_euclid(256));
        let j = usize::try_from(j).unwrap();
        // The significand as if the value lay in [1, 2), which scaling by whole octaves keeps
        // exact; a power of two that ends the bucket counts as 2 of the octave before.
        let scaled = scale_by(value, -octave);
        prop_assert!((1.0..=2.0).contains(&scaled));
        let significand = whole(scaled);
        prop_assert_eq!(against_boundary(significand, j), Ordering::Greater);
        prop_assert_ne!(against_boundary(significand, j + 1), Ordering::Greater);
    }

    #[test]
    fn nothing_is_lost_and_the_limit_holds(values in prop::collection::vec(value(), 0..300)) {
        let histogram = filled(&values);
        prop_assert_eq!(count(&histogram), values.len() as u64);
        prop_assert!(histogram.counts().count() <= MAX_BUCKETS);
        prop_assert!(histogram.scale() <= MAX_SCALE);
        // Each value is counted in the bucket that the final scale gives it.
        let mut expected = std::collections::BTreeMap::new();
        for index in values.iter().filter_map(|value| finest_index(*value)) {
            *expected.entry(index >> (MAX_SCALE - histogram.scale())).or_insert(0_u64) += 1;
        }
        let found = (histogram.offset()..)
            .zip(histogram.counts())
            .filter(|(_, count)| *count > 0)
            .collect();
        prop_assert_eq!(expected, found);
    }

    #[test]
    fn merging_is_counting_together(
        first in prop::collection::vec(value(), 0..200),
        second in prop::collection::vec(value(), 0..200),
    ) {
        let mut merged = filled(&first);
        merged.merge(&filled(&second));
        let together = filled(&[first, second].concat());
        prop_assert_eq!(merged, together);
    }

    #[test]
    fn a_difference_is_what_came_between(
        before in prop::collection::vec(value(), 0..200),
        after in prop::collection::vec(value(), 0..200),
    ) {
        let earlier = filled(&before);
        let mut later = earlier.clone();
        for value in &after {
            later.record(*value);
        }
        let mut between = filled(&after);
        between.coarsen(between.scale() - later.scale());
        between.trim();
        let since = later.since(&earlier);
        prop_assert_eq!(count(&since), after.len() as u64);
        prop_assert_eq!(
            since.counts().collect::<Vec<_>>(),
            between.counts().collect::<Vec<_>>()
        );
    }
}

/// `value * 2^exponent`, in steps that no intermediate result can overflow or round.
fn scale_by(value: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    value * 2_f64.powi(half) * 2_f64.powi(exponent - half)
}

/// `value * 2^52` for a value in [1, 2]: its significand, or the next power of two.
fn whole(value: f64) -> u64 {
    let octave = (value.to_bits() >> FRACTION) - 1023;
    ((value.to_bits() & ((1 << FRACTION) - 1)) | 1 << FRACTION) << octave
}
