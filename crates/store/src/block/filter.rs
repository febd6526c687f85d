//! "Is this value in the block?": a Bloom filter whose bits of one key lie in one cache line, so
//! that asking reads 64 bytes (Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient
//! Bloom Filters", 2007). The last four bytes of a line are its checksum: a bit lost on the disk
//! must not hide a row.

use crate::codec::Malformed;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Bytes of a line.
pub(crate) const LINE: usize = 64;
/// Bytes of a line that hold bits.
const BITS: usize = LINE - 4;
/// Bits set for a key.
const PROBES: u32 = 6;

/// How much a filter lets through that is not in it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Density {
    /// Twelve bits a key: about one absent key in three hundred passes.
    Coarse = 12,
    /// Twenty bits a key: about one in three thousand.
    Fine = 20,
}

/// The number that stands for a value under a key.
pub(crate) fn key_hash(key: &str, kind: u8, value: &[u8]) -> u64 {
    let seed = xxh3_64_with_seed(key.as_bytes(), u64::from(kind));
    xxh3_64_with_seed(value, seed)
}

/// A filter over these hashes, none of them twice; empty for none.
pub(crate) fn build(hashes: &[u64], density: Density) -> Vec<u8> {
    let lines = (hashes.len() * density as usize).div_ceil(BITS * 8);
    let mut bits = vec![0_u8; lines * LINE];
    for hash in hashes {
        let start = line_of(*hash, lines) * LINE;
        for bit in probes(*hash) {
            bits[start + bit / 8] |= 1 << (bit % 8);
        }
    }
    for line in bits.chunks_exact_mut(LINE) {
        let (bits, sum) = line.split_at_mut(BITS);
        sum.copy_from_slice(&checksum(bits));
    }
    bits
}

/// Where in a filter of so many bytes the line of a hash begins; `None` where nothing is in it.
pub(crate) fn line_start(hash: u64, length: usize) -> Option<usize> {
    let lines = length / LINE;
    (lines > 0).then(|| line_of(hash, lines) * LINE)
}

/// Whether a hash may be in the filter, by its line.
pub(crate) fn may_hold(line: &[u8], hash: u64) -> Result<bool, Malformed> {
    let (bits, sum) = line.split_at_checked(BITS).ok_or(Malformed)?;
    if sum != checksum(bits) {
        return Err(Malformed);
    }
    Ok(probes(hash).all(|bit| bits[bit / 8] & (1 << (bit % 8)) != 0))
}

/// The same for a filter that lies in memory.
pub(crate) fn holds(filter: &[u8], hash: u64) -> Result<bool, Malformed> {
    match line_start(hash, filter.len()) {
        Some(start) => may_hold(filter.get(start..start + LINE).ok_or(Malformed)?, hash),
        None => Ok(false),
    }
}

fn checksum(bits: &[u8]) -> [u8; 4] {
    (xxh3_64(bits) as u32).to_le_bytes()
}

fn line_of(hash: u64, lines: usize) -> usize {
    ((u128::from(hash) * lines as u128) >> 64) as usize
}

/// Bits within the line, from the half of the hash that does not choose the line.
fn probes(hash: u64) -> impl Iterator<Item = usize> {
    let low = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..PROBES).map(move |probe| (low >> (10 * probe)) as usize % (BITS * 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_is_found_and_little_else() {
        let hash = |n: u32| key_hash("gen_ai.request.model", 1, &n.to_le_bytes());
        let hashes: Vec<u64> = (0..10_000).map(hash).collect();
        for (density, bound) in [(Density::Coarse, 1_000), (Density::Fine, 100)] {
            let filter = build(&hashes, density);
            assert!(hashes.iter().all(|hash| holds(&filter, *hash).unwrap()));
            let wrong = (10_000..110_000)
                .filter(|n| holds(&filter, hash(*n)).unwrap())
                .count();
            assert!(wrong < bound, "{wrong} of 100,000 absent keys pass");
        }
        assert!(!holds(&build(&[], Density::Fine), hashes[0]).unwrap());
    }
}
