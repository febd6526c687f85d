//! Sums over model requests, out of those that are kept beside the spans.

use crate::StoreError;
use crate::block::{Block, Signal};
use crate::reader::{Snapshot, with_cause};
use crate::rollup::{self, RollupKey, Rollups, Totals};
use std::ops::Range;

/// Nanoseconds.
const MINUTE: u64 = 60_000_000_000;

/// Sums, and what could not be summed up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums<T> {
    /// The sums of all blocks that can be read.
    pub sums: T,
    /// Blocks that could not be read, with the reason.
    pub damaged: Vec<String>,
}

impl Snapshot {
    /// Sums over the model requests of a time range, by minute, service, model, operation and
    /// outcome.
    pub fn rollups(&self, minutes: Option<&Range<u64>>) -> Result<Sums<Rollups>, StoreError> {
        self.sum(minutes, |all: &mut Rollups, block, _| {
            for (key, sums) in block.rollups()? {
                if is_within(&key, minutes) {
                    all.entry(key).or_default().merge(&sums);
                }
            }
            Ok(())
        })
    }

    /// The same without minutes: over the whole range, from sums of whole blocks where they lie
    /// within it.
    pub fn totals(&self, minutes: Option<&Range<u64>>) -> Result<Sums<Totals>, StoreError> {
        self.sum(minutes, |all: &mut Totals, block, whole| {
            let totals = if whole {
                block.totals()?
            } else {
                let mut sums = block.rollups()?;
                sums.retain(|key, _| is_within(key, minutes));
                rollup::totals(&sums)
            };
            for (key, sums) in totals {
                all.entry(key).or_default().merge(&sums);
            }
            Ok(())
        })
    }

    /// Adds up the blocks of spans that began in these minutes; `add` is told whether all of a
    /// block's did.
    fn sum<T: Default>(
        &self,
        minutes: Option<&Range<u64>>,
        mut add: impl FnMut(&mut T, &Block, bool) -> Result<(), StoreError>,
    ) -> Result<Sums<T>, StoreError> {
        let mut all = Sums::<T>::default();
        for part in self.of(Signal::Traces) {
            let (first, last) = (part.oldest / MINUTE, part.newest / MINUTE);
            if minutes.is_some_and(|wanted| last < wanted.start || first >= wanted.end) {
                continue;
            }
            let whole =
                minutes.is_none_or(|wanted| wanted.contains(&first) && wanted.contains(&last));
            match part
                .block()
                .and_then(|block| add(&mut all.sums, &block, whole))
            {
                Ok(()) => {}
                Err(error) if error.is_of_file() => all.damaged.push(with_cause(&error)),
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }
}

fn is_within(key: &RollupKey, minutes: Option<&Range<u64>>) -> bool {
    minutes.is_none_or(|wanted| wanted.contains(&key.minute))
}
