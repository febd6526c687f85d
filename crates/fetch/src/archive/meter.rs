//! Counts what goes into and comes out of a decoder, and stops it at the limits.

use super::Limits;
use super::entry::{Refusal, Swollen};
use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};

/// Unpacked bytes from which on the ratio counts: small archives may well be all zeros.
const RATIO_FROM: u64 = 16 << 20;

pub(super) struct Meter<'a> {
    limits: Limits,
    entries: Cell<u64>,
    packed: Cell<u64>,
    unpacked: Cell<u64>,
    tell: Box<dyn Fn(u64) + 'a>,
}

impl<'a> Meter<'a> {
    /// `tell` hears how many packed bytes were read.
    pub(super) fn new(limits: Limits, tell: impl Fn(u64) + 'a) -> Self {
        Self {
            limits,
            entries: Cell::new(0),
            packed: Cell::new(0),
            unpacked: Cell::new(0),
            tell: Box::new(tell),
        }
    }

    /// One more entry was met.
    pub(super) fn entry(&self) -> Result<(), Refusal> {
        self.entries.set(self.entries.get() + 1);
        if self.entries.get() > self.limits.entries {
            return Err(Refusal::archive(format!(
                "it has more than {} entries",
                self.limits.entries
            )));
        }
        Ok(())
    }

    fn unpacked(&self, count: u64) -> io::Result<()> {
        let unpacked = self.unpacked.get().saturating_add(count);
        self.unpacked.set(unpacked);
        if unpacked > self.limits.bytes {
            return Err(io::Error::other(Swollen(format!(
                "it unpacks to more than {} bytes",
                self.limits.bytes
            ))));
        }
        if unpacked > RATIO_FROM && unpacked / self.limits.ratio > self.packed.get() {
            return Err(io::Error::other(Swollen(format!(
                "it swells more than {} times",
                self.limits.ratio
            ))));
        }
        Ok(())
    }
}

/// The packed side.
pub(super) struct Packed<'m, 'a, R> {
    pub(super) inner: R,
    pub(super) meter: &'m Meter<'a>,
}

impl<R: Read> Read for Packed<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let packed = self.meter.packed.get() + count as u64;
        self.meter.packed.set(packed);
        (self.meter.tell)(packed);
        Ok(count)
    }
}

impl<R: Seek> Seek for Packed<'_, '_, R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.inner.seek(position)
    }
}

/// The unpacked side.
pub(super) struct Metered<'m, 'a, R> {
    pub(super) inner: R,
    pub(super) meter: &'m Meter<'a>,
}

impl<R: Read> Read for Metered<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.meter.unpacked(count as u64)?;
        Ok(count)
    }
}
