//! Checking hundreds of thousands of short strings for UTF-8.
//!
//! Looking at one after the other costs a few wrong guesses of the processor each. So whole runs of
//! an array are checked at once, lengths included: where every length is below 128, all its bytes
//! are ASCII, and the run is UTF-8 exactly if each of its strings is. The check itself steps through
//! a state machine without branches, in four runs at a time, since a single one waits for itself.

/// How many runs are checked beside each other.
pub(crate) const LANES: usize = 4;

/// Lengths of strings for which a run may be checked as a whole are below this.
pub(crate) const LONGEST: u64 = 128;

/// Bits of a state: its number times this is how far a row is shifted.
const BITS: u32 = 6;
/// Between two characters.
const START: u64 = 0;
/// After something that is not UTF-8.
const WRONG: u64 = BITS as u64;
/// Before one, two or three more bytes of a character.
const ONE: u64 = 2 * BITS as u64;
const TWO: u64 = 3 * BITS as u64;
const THREE: u64 = 4 * BITS as u64;
/// After a first byte that restricts the second.
const AFTER_E0: u64 = 5 * BITS as u64;
const AFTER_ED: u64 = 6 * BITS as u64;
const AFTER_F0: u64 = 7 * BITS as u64;
const AFTER_F4: u64 = 8 * BITS as u64;

/// For each byte the state that follows each state, at the place the state says.
static ROWS: [u64; 256] = rows();

const fn rows() -> [u64; 256] {
    let mut rows = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut state = START;
        while state <= AFTER_F4 {
            rows[byte] |= next(state, byte) << state;
            state += BITS as u64;
        }
        byte += 1;
    }
    rows
}

/// The state after a byte, by the table of well-formed sequences of the Unicode standard.
const fn next(state: u64, byte: usize) -> u64 {
    match (state, byte) {
        (START, 0..=0x7F) | (ONE, 0x80..=0xBF) => START,
        (START, 0xC2..=0xDF)
        | (TWO, 0x80..=0xBF)
        | (AFTER_E0, 0xA0..=0xBF)
        | (AFTER_ED, 0x80..=0x9F) => ONE,
        (START, 0xE0) => AFTER_E0,
        (START, 0xED) => AFTER_ED,
        (START, 0xE1..=0xEF)
        | (THREE, 0x80..=0xBF)
        | (AFTER_F0, 0x90..=0xBF)
        | (AFTER_F4, 0x80..=0x8F) => TWO,
        (START, 0xF0) => AFTER_F0,
        (START, 0xF4) => AFTER_F4,
        (START, 0xF1..=0xF3) => THREE,
        _ => WRONG,
    }
}

#[inline]
fn step(state: u64, byte: u8) -> u64 {
    // Only the low bits of the state count, of which a shift takes as many as it needs.
    ROWS[usize::from(byte)].wrapping_shr((state & 63) as u32)
}

/// Which of the runs are UTF-8.
pub(crate) fn valid(runs: [&[u8]; LANES]) -> [bool; LANES] {
    let mut states = [START; LANES];
    let [first, second, third, fourth] = runs;
    let together = first.iter().zip(second).zip(third).zip(fourth);
    for (((&first, &second), &third), &fourth) in together {
        states[0] = step(states[0], first);
        states[1] = step(states[1], second);
        states[2] = step(states[2], third);
        states[3] = step(states[3], fourth);
    }
    let shortest = runs.map(<[u8]>::len).into_iter().min().unwrap_or(0);
    for (state, run) in states.iter_mut().zip(runs) {
        *state = run
            .iter()
            .skip(shortest)
            .fold(*state, |state, &byte| step(state, byte));
    }
    states.map(|state| state & 63 == START)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every string of up to three of the bytes at which something changes, and four-byte ones.
    #[test]
    fn agrees_with_the_standard_library() {
        let edges = [
            0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0,
            0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF,
        ];
        let mut texts: Vec<Vec<u8>> = vec![Vec::new()];
        for length in 0..4 {
            let longest: Vec<_> = texts
                .iter()
                .filter(|text| text.len() == length)
                .cloned()
                .collect();
            for text in longest {
                texts.extend(edges.iter().map(|&edge| [&text[..], &[edge]].concat()));
            }
        }
        assert_eq!(
            texts.len(),
            1 + 25 + 25 * 25 + 25 * 25 * 25 + 25 * 25 * 25 * 25
        );
        for four in texts.chunks(LANES) {
            let of = |lane: usize| four.get(lane).map_or(&[][..], |text| &text[..]);
            let valid = valid([of(0), of(1), of(2), of(3)]);
            for (lane, valid) in valid.into_iter().enumerate() {
                assert_eq!(
                    valid,
                    std::str::from_utf8(of(lane)).is_ok(),
                    "{:x?}",
                    of(lane)
                );
            }
        }
    }

    #[test]
    fn lanes_of_any_lengths_are_apart() {
        let long = "Grüße, 世界 🦙 ".repeat(100);
        let cut = &long.as_bytes()[..long.len() - 2];
        assert_eq!(
            valid([long.as_bytes(), cut, b"", b"a\xFFb"]),
            [true, false, true, false]
        );
        assert_eq!(
            valid([b"\xC3", b"\xA4", b"x", long.as_bytes()]),
            [false, false, true, true]
        );
    }
}
