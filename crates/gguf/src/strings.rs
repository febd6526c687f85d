//! Finding the end of an array of strings, which is most of what opening a file costs.

use crate::cursor::{Endianness, Layout, Lengths};

/// The end of `count` strings that start at `at`, or the place of the first that does not fit.
pub(crate) fn skip_strings(
    bytes: &[u8],
    at: usize,
    count: u64,
    layout: Layout,
) -> Result<usize, usize> {
    match (layout.lengths, layout.endianness) {
        (Lengths::Wide, Endianness::Little) => walk(bytes, at, count, u64::from_le_bytes),
        (Lengths::Wide, Endianness::Big) => walk(bytes, at, count, u64::from_be_bytes),
        (Lengths::Narrow, Endianness::Little) => walk(bytes, at, count, |length| {
            u64::from(u32::from_le_bytes(length))
        }),
        (Lengths::Narrow, Endianness::Big) => walk(bytes, at, count, |length| {
            u64::from(u32::from_be_bytes(length))
        }),
    }
}

#[inline]
fn walk<const N: usize>(
    bytes: &[u8],
    mut at: usize,
    count: u64,
    length: impl Fn([u8; N]) -> u64,
) -> Result<usize, usize> {
    for _ in 0..count {
        let head = bytes.get(at..).and_then(<[u8]>::first_chunk).ok_or(at)?;
        let start = at + N;
        let length = usize::try_from(length(*head)).ok().ok_or(at)?;
        if length > bytes.len() - start {
            return Err(at);
        }
        at = start + length;
    }
    Ok(at)
}
