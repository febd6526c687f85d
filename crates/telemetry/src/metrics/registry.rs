//! The series of every instrument and their present values.

use super::aggregate::{Exemplar, Histogram, Origin};
use super::attributes::Attributes;
use super::instrument::Kind;
use super::names::{IDS, Id};
use crate::conventions::Profile;
use std::collections::HashMap;

/// Series of one instrument at most, the one for what exceeds the limit included: the
/// specification's default.
pub(crate) const SERIES_LIMIT: usize = 2000;

/// How histograms are kept and which instruments there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The version of the names.
    pub(crate) version: Profile,
    /// Keep exponential histograms beside the explicit ones.
    pub(crate) exponential: bool,
}

/// All instruments' series.
#[derive(Debug)]
pub(crate) struct Registry {
    layout: Layout,
    families: Vec<Family>,
}

/// The series of one instrument.
#[derive(Debug, Default)]
struct Family {
    series: Vec<Series>,
    places: HashMap<Attributes, usize>,
}

/// One set of attributes and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) attributes: Attributes,
    /// When it began, nanoseconds since 1970.
    pub(crate) started: u64,
    pub(crate) value: Aggregate,
}

/// What measurements came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Aggregate {
    Sum {
        value: f64,
        /// The latest.
        exemplar: Option<Exemplar>,
    },
    Last(f64),
    Histogram(Box<Histogram>),
}

impl Aggregate {
    fn number(&self) -> Option<f64> {
        match self {
            Self::Sum { value, .. } | Self::Last(value) => Some(*value),
            Self::Histogram(_) => None,
        }
    }
}

/// One series of one instrument. Good for the life of the registry if its instrument is never
/// [replaced](Registry::replace).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeriesId {
    id: Id,
    place: usize,
}

impl Registry {
    pub(crate) fn new(layout: Layout) -> Self {
        Self {
            layout,
            families: IDS.iter().map(|_| Family::default()).collect(),
        }
    }

    pub(crate) fn version(&self) -> Profile {
        self.layout.version
    }

    /// The series of these attributes, made at `now` if need be; beyond the limit the one for
    /// all others.
    pub(crate) fn series(&mut self, id: Id, attributes: &Attributes, now: u64) -> SeriesId {
        let layout = self.layout;
        let family = &mut self.families[id as usize];
        let place = family.places.get(attributes).copied();
        let place = place.unwrap_or_else(|| family.make(id, attributes, now, layout));
        SeriesId { id, place }
    }

    /// Adds to a counter or counts a value in a histogram. A counter leaves out what would lower
    /// it.
    pub(crate) fn record(&mut self, series: SeriesId, amount: f64, origin: Option<Origin>) {
        match &mut self.families[series.id as usize].series[series.place].value {
            Aggregate::Sum { value, exemplar } => {
                let raised = *value + amount;
                if raised.is_finite() && amount >= 0.0 {
                    *value = raised;
                    *exemplar = origin.map(|origin| origin.exemplar(amount)).or(*exemplar);
                }
            }
            Aggregate::Last(value) => *value = amount,
            Aggregate::Histogram(histogram) => histogram.record(amount, origin),
        }
    }

    /// Sets a sum or a last value that somebody else keeps. A counter never goes down.
    pub(crate) fn set(&mut self, id: Id, attributes: &Attributes, now: u64, latest: f64) {
        if !latest.is_finite() {
            return;
        }
        let series = self.series(id, attributes, now);
        let monotone = id.instrument().kind.is_monotone();
        match &mut self.families[id as usize].series[series.place].value {
            Aggregate::Sum { value, .. } if monotone => *value = value.max(latest),
            Aggregate::Sum { value, .. } | Aggregate::Last(value) => *value = latest,
            Aggregate::Histogram(_) => {}
        }
    }

    /// Makes these the only series of an instrument whose values somebody else keeps: what is no longer
    /// known is no longer told.
    pub(crate) fn replace(
        &mut self,
        id: Id,
        now: u64,
        values: impl IntoIterator<Item = (Attributes, f64)>,
    ) {
        let before = std::mem::take(&mut self.families[id as usize]);
        for (attributes, value) in values {
            self.set(id, &attributes, now, value);
            let Some(place) = before.places.get(&attributes) else {
                continue;
            };
            // It goes on from where it began, unless it was begun anew meanwhile.
            let old = &before.series[*place];
            if old.value.number() <= Some(value) {
                let family = &mut self.families[id as usize];
                if let Some(place) = family.places.get(&attributes) {
                    family.series[*place].started = old.started;
                }
            }
        }
    }

    /// Removes the series that have this attribute.
    pub(crate) fn remove(&mut self, id: Id, attribute: (&'static str, &super::attributes::Value)) {
        let family = &mut self.families[id as usize];
        let kept = std::mem::take(family).series.into_iter();
        for series in kept.filter(|series| !series.attributes.iter().any(|own| own == attribute)) {
            family
                .places
                .insert(series.attributes.clone(), family.series.len());
            family.series.push(series);
        }
    }

    /// Every instrument that has series, and its series, in the order of their attributes.
    pub(crate) fn families(&self) -> impl Iterator<Item = (Id, Vec<&Series>)> {
        IDS.iter().zip(&self.families).filter_map(|(id, family)| {
            let mut series: Vec<&Series> = family.series.iter().collect();
            series.sort_by(|a, b| a.attributes.cmp(&b.attributes));
            (!series.is_empty()).then_some((*id, series))
        })
    }
}

impl Family {
    fn make(&mut self, id: Id, attributes: &Attributes, now: u64, layout: Layout) -> usize {
        let full = self.series.len() + 1 >= SERIES_LIMIT;
        let attributes = if full {
            let overflow = Attributes::overflow();
            if let Some(place) = self.places.get(&overflow) {
                return *place;
            }
            overflow
        } else {
            attributes.clone()
        };
        let value = match id.instrument().kind {
            Kind::Counter | Kind::ObservableCounter | Kind::UpDownCounter => Aggregate::Sum {
                value: 0.0,
                exemplar: None,
            },
            Kind::Gauge => Aggregate::Last(0.0),
            Kind::Histogram(bounds) => {
                Aggregate::Histogram(Box::new(Histogram::new(bounds, layout.exponential)))
            }
        };
        let place = self.series.len();
        self.places.insert(attributes.clone(), place);
        self.series.push(Series {
            attributes,
            started: now,
            value,
        });
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(registry: &Registry, id: Id) -> Vec<f64> {
        let (_, series) = registry
            .families()
            .find(|(found, _)| *found == id)
            .expect("it has series");
        let value = |series: &&Series| match series.value {
            Aggregate::Sum { value, .. } | Aggregate::Last(value) => value,
            Aggregate::Histogram(_) => panic!("a histogram"),
        };
        series.iter().map(value).collect()
    }

    #[test]
    fn beyond_the_limit_one_series_takes_all() {
        let mut registry = Registry::new(Layout::default());
        for model in 0..3 * SERIES_LIMIT {
            let attributes = Attributes::default().with("model", i64::try_from(model).unwrap());
            let series = registry.series(Id::WastedTokens, &attributes, 0);
            registry.record(series, 1.0, None);
        }
        let (_, series) = registry.families().next().expect("a family");
        assert_eq!(series.len(), SERIES_LIMIT);
        let overflow = series
            .iter()
            .find(|series| series.attributes == Attributes::overflow())
            .expect("the overflow series");
        let expected = 2.0 * SERIES_LIMIT as f64 + 1.0;
        assert!(
            matches!(overflow.value, Aggregate::Sum { value, .. } if value.to_bits() == expected.to_bits())
        );
    }

    #[test]
    fn what_is_replaced_is_gone() {
        let mut registry = Registry::new(Layout::default());
        let slot = |number: i64| Attributes::default().with("slot", number);
        registry.replace(Id::SlotTokens, 0, [(slot(0), 5.0), (slot(1), 6.0)]);
        registry.replace(Id::SlotTokens, 0, [(slot(1), 7.0)]);
        assert_eq!(sum(&registry, Id::SlotTokens), [7.0]);
        registry.remove(Id::SlotTokens, ("slot", &1.into()));
        assert_eq!(registry.families().count(), 0);
    }

    proptest! {
        #[test]
        fn counters_never_go_down(
            steps in prop::collection::vec((any::<bool>(), any::<f64>()), 1..100)
        ) {
            let mut registry = Registry::new(Layout::default());
            let none = Attributes::default();
            let mut before = 0.0;
            for (adds, amount) in steps {
                if adds {
                    let series = registry.series(Id::EnergyIdle, &none, 0);
                    registry.record(series, amount, None);
                } else {
                    registry.set(Id::EnergyIdle, &none, 0, amount);
                }
                let after = registry.families().next().map_or(0.0, |_| sum(&registry, Id::EnergyIdle)[0]);
                prop_assert!(after >= before);
                before = after;
            }
        }
    }
}
