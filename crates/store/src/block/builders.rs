//! Rows of all signals on their way into blocks.

use super::build::Builder;
use super::schema::Signal;

/// Rows of all signals on their way into blocks. Where a block is full the next one begins, also
/// in the middle of a request: no block becomes larger than its readers allow.
#[derive(Debug)]
pub(crate) struct Builders {
    open: [Builder; 3],
    full: Vec<Builder>,
}

impl Builders {
    pub(crate) fn new() -> Self {
        Self {
            open: Signal::ALL.map(Builder::new),
            full: Vec::new(),
        }
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

    /// Takes the blocks behind which another has begun.
    pub(crate) fn take_full(&mut self) -> Vec<Builder> {
        std::mem::take(&mut self.full)
    }

    /// All blocks that have rows.
    pub(crate) fn into_filled(self) -> impl Iterator<Item = Builder> {
        let filled = |builder: &Builder| builder.rows() > 0;
        self.full.into_iter().chain(self.open).filter(filled)
    }
}
