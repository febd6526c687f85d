//! What an instrument is.

use crate::conventions::Profile;

/// One instrument, defined once for every output and for the docs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Instrument {
    /// Its name with dots.
    pub name: &'static str,
    /// Its unit by UCUM; a word in braces names what is counted.
    pub unit: &'static str,
    /// What it measures, in one sentence.
    pub what: &'static str,
    /// How measurements add up.
    pub kind: Kind,
    /// Whether its values are whole numbers.
    pub(crate) number: Number,
    /// In which versions of the names it exists.
    pub(crate) versions: Versions,
}

/// How measurements add up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A sum that only grows.
    Counter,
    /// The same, kept by somebody else and read.
    ObservableCounter,
    /// A sum that goes both ways.
    UpDownCounter,
    /// The latest value.
    Gauge,
    /// A distribution, and the upper boundaries of its buckets.
    Histogram(&'static [f64]),
}

/// What values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    Whole,
    Real,
}

/// In which versions of the GenAI conventions an instrument exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Versions {
    /// In all of them, or in none because it is ours.
    All,
    /// Up to 1.41.
    UpTo1_41,
    /// In 1.41 alone.
    Only1_41,
    /// After 1.41.
    Latest,
}

impl Versions {
    pub(crate) fn include(self, version: Profile) -> bool {
        match self {
            Self::All => true,
            Self::UpTo1_41 => version != Profile::Latest,
            Self::Only1_41 => version == Profile::V1_41,
            Self::Latest => version == Profile::Latest,
        }
    }
}

impl Kind {
    /// Whether it never goes down.
    pub(crate) const fn is_monotone(self) -> bool {
        matches!(self, Self::Counter | Self::ObservableCounter)
    }

    /// The word for it in the docs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::ObservableCounter => "observable counter",
            Self::UpDownCounter => "up-down counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}
