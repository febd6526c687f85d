//! Counters that outlive the server that keeps them.

use crate::metrics::names::Id;
use std::collections::BTreeMap;

/// The counters of one served model over all runs of its server. What a run counted after it was
/// last read died with it: totals are no more than what happened.
#[derive(Debug, Default)]
pub(super) struct Carried {
    run: Option<u64>,
    counters: BTreeMap<(Id, Option<i64>), Counter>,
}

#[derive(Debug, Default)]
struct Counter {
    /// What earlier runs came to.
    base: f64,
    /// What this run said last.
    last: f64,
}

impl Carried {
    /// A run is read now. Another one than before begins to count at zero.
    pub(super) fn enter(&mut self, run: u64) {
        if self.run.replace(run) != Some(run) {
            for counter in self.counters.values_mut() {
                counter.base += std::mem::take(&mut counter.last);
            }
        }
    }

    /// What a counter has come to over all runs, and whether it moved.
    pub(super) fn total(&mut self, id: Id, position: Option<i64>, value: f64) -> (f64, bool) {
        let counter = self.counters.entry((id, position)).or_default();
        if value < counter.last {
            // Begun anew within a run: nobody told of the restart.
            counter.base += counter.last;
        }
        let moved = value.to_bits() != counter.last.to_bits();
        counter.last = value;
        (counter.base + value, moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_new_run_goes_on_where_the_old_one_ended() {
        let mut carried = Carried::default();
        let mut total = |run, value| {
            carried.enter(run);
            carried.total(Id::ServerDecodes, None, value).0
        };
        let totals = [(1, 5.0), (1, 7.0), (2, 9.0), (2, 10.0), (2, 1.0)];
        let totals = totals.map(|(run, value)| total(run, value).to_string());
        // The second run soon says more than the first one ever did.
        assert_eq!(totals, ["5", "7", "16", "17", "18"]);
    }

    proptest! {
        #[test]
        fn totals_never_go_down(reads in prop::collection::vec((0_u64..4, 0_u32..1000), 1..200)) {
            let mut carried = Carried::default();
            let mut before = 0.0;
            for (run, value) in reads {
                carried.enter(run);
                let (total, _) = carried.total(Id::ServerDecodes, None, f64::from(value));
                prop_assert!(total >= before);
                before = total;
            }
        }
    }
}
