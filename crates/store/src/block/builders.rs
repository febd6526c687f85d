//! Rows of all signals on their way into blocks.

use super::build::{Builder, Built};
use super::output::Packing;
use super::schema::Signal;

/// Rows of all signals on their way into blocks. Where a block is full the next one begins, also
/// in the middle of a request: no block becomes larger than its readers allow.
#[derive(Debug)]
pub(crate) struct Builders {
    open: [Builder; 3],
    full: Vec<Builder>,
    origins: u64,
}

impl Builders {
    pub(crate) fn new() -> Self {
        Self {
            open: Signal::ALL.map(Builder::new),
            full: Vec::new(),
            origins: 0,
        }
    }

    /// A number for where the next rows come from.
    pub(crate) fn next_origin(&mut self) -> u64 {
        self.origins += 1;
        self.origins
    }

    /// The block that the next row of a signal belongs to.
    pub(crate) fn of(&mut self, signal: Signal) -> &mut Builder {
        let open = &mut self.open[signal as usize];
        if open.is_full() {
            let full = std::mem::replace(open, Builder::new(signal));
            self.full.push(full);
        }
        open
    }

    /// Whether a block should be closed.
    pub(crate) fn is_full(&self) -> bool {
        !self.full.is_empty() || self.open.iter().any(Builder::is_full)
    }

    /// The blocks behind which another has begun.
    pub(crate) fn finish_full(
        &mut self,
        packing: Packing,
    ) -> impl Iterator<Item = std::io::Result<Built>> {
        let full = std::mem::take(&mut self.full);
        full.into_iter().map(move |builder| builder.finish(packing))
    }

    /// All blocks that have rows.
    pub(crate) fn finish(self, packing: Packing) -> impl Iterator<Item = std::io::Result<Built>> {
        let filled = |builder: &Builder| builder.rows() > 0;
        let all = self.full.into_iter().chain(self.open).filter(filled);
        all.map(move |builder| builder.finish(packing))
    }
}
