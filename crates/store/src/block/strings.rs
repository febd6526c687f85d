//! Byte strings of a block, each kept once.
//!
//! Every column of strings is a dictionary in order of first appearance and a code a row. A long
//! string is kept as pieces: a list of messages, as agents send it again with every call, is cut
//! at its top-level elements, so that each message is kept once however often it is repeated.

use crate::codec::{Cursor, Malformed, put};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

/// Strings from this length on are kept as pieces.
const LONG: usize = 96;
/// Pieces of one string at most; a list of the smallest elements in the largest request has fewer.
pub(super) const LONGEST_LIST: usize = 32 << 20;

/// Distinct byte strings, numbered in order of first appearance.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    bytes: Vec<u8>,
    /// Where each string ends in `bytes`.
    ends: Vec<usize>,
    hashes: Vec<u64>,
    table: HashTable<u32>,
}

impl Interner {
    /// The number of a string.
    pub(crate) fn intern(&mut self, string: &[u8]) -> u32 {
        self.intern_new(string).0
    }

    /// The number of a string, and whether it is its first appearance.
    pub(crate) fn intern_new(&mut self, string: &[u8]) -> (u32, bool) {
        let hash = xxh3_64(string);
        let (ends, bytes, hashes) = (&self.ends, &self.bytes, &self.hashes);
        let same = |index: &u32| {
            let index = *index as usize;
            hashes[index] == hash && slice(ends, bytes, index) == string
        };
        if let Some(index) = self.table.find(hash, same) {
            return (*index, false);
        }
        let index = self.ends.len() as u32;
        self.bytes.extend_from_slice(string);
        self.ends.push(self.bytes.len());
        self.hashes.push(hash);
        let hashes = &self.hashes;
        self.table
            .insert_unique(hash, index, |index| hashes[*index as usize]);
        (index, true)
    }

    /// All strings, one behind the other.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| slice(&self.ends, &self.bytes, index))
    }
}

fn slice<'a>(ends: &[usize], bytes: &'a [u8], index: usize) -> &'a [u8] {
    let from = index.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[from..ends[index]]
}

/// Writes a dictionary entry: a short string as it is, a long one as pieces.
pub(crate) fn encode_entry(string: &[u8], pieces: &mut Interner, out: &mut Vec<u8>) {
    if string.len() < LONG {
        put(out, (string.len() as u64) << 1);
        out.extend_from_slice(string);
        return;
    }
    let cuts = cut(string);
    put(out, ((cuts.len() as u64) << 1) | 1);
    // Pieces that follow one another are numbered one after the other: differences are small.
    let mut last = 0_i64;
    for piece in cuts {
        let index = i64::from(pieces.intern(piece));
        put(out, crate::codec::zigzag(index - last));
        last = index + 1;
    }
}

/// The string of an entry that is not kept in pieces.
pub(crate) fn short(entry: &[u8]) -> Option<&[u8]> {
    match decode_entry(&mut Cursor::new(entry)) {
        Ok(Entry::Whole(string)) => Some(string),
        _ => None,
    }
}

/// A dictionary entry as it stands in a block.
#[derive(Debug, Clone)]
pub(crate) enum Entry<'a> {
    Whole(&'a [u8]),
    /// The numbers of its pieces.
    Pieces(Vec<u32>),
}

/// Reads what [`encode_entry`] wrote.
pub(crate) fn decode_entry<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>, Malformed> {
    let head = cursor.number()?;
    let count = usize::try_from(head >> 1).or(Err(Malformed))?;
    if count > if head & 1 == 0 { LONG } else { LONGEST_LIST } {
        return Err(Malformed);
    }
    if head & 1 == 0 {
        return Ok(Entry::Whole(cursor.take(count)?));
    }
    let mut pieces = Vec::new();
    let mut last = 0_i64;
    for _ in 0..count {
        let index = last
            .checked_add(crate::codec::unzigzag(cursor.number()?))
            .ok_or(Malformed)?;
        pieces.push(u32::try_from(index).or(Err(Malformed))?);
        last = index + 1;
    }
    Ok(Entry::Pieces(pieces))
}

/// Cuts a JSON list at its top-level elements; anything else is one piece. The pieces put together
/// are the string, byte for byte; a separator stays with the element before it.
fn cut(string: &[u8]) -> Vec<&[u8]> {
    if string.first() != Some(&b'[') {
        return vec![string];
    }
    let mut pieces = Vec::new();
    let (mut depth, mut from, mut quoted, mut escaped) = (0_u32, 0, false, false);
    for (at, byte) in string.iter().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'[' | b'{' => {
                depth += 1;
                // The list's own bracket is no part of its first element.
                if depth == 1 {
                    pieces.push(&string[from..=at]);
                    from = at + 1;
                }
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                // Cut before the separator: the last element is written without one, and must be
                // the same piece as when others follow it.
                if depth == 1 || (depth == 0 && from < at) {
                    let end = if depth == 1 { at + 1 } else { at };
                    pieces.push(&string[from..end]);
                    from = end;
                }
            }
            _ => {}
        }
    }
    if from < string.len() {
        pieces.push(&string[from..]);
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_is_cut_at_its_elements() {
        let text = br#"[{"a": "x]\"["}, {"b": [1, 2]}, 3]"#;
        let pieces: Vec<_> = cut(text)
            .into_iter()
            .map(|piece| std::str::from_utf8(piece).unwrap())
            .collect();
        assert_eq!(
            pieces,
            ["[", r#"{"a": "x]\"["}"#, r#", {"b": [1, 2]}"#, ", 3", "]"]
        );
    }

    #[test]
    fn a_history_sent_again_shares_its_pieces() {
        let mut pieces = Interner::default();
        let message =
            |n: usize| format!(r#"{{"role": "user", "content": "{n} {}"}}"#, "x".repeat(90));
        let mut out = Vec::new();
        for length in 1..=20 {
            let list: Vec<_> = (0..length).map(message).collect();
            encode_entry(
                format!("[{}]", list.join(", ")).as_bytes(),
                &mut pieces,
                &mut out,
            );
        }
        // Twenty messages, the brackets, and nothing twice.
        assert_eq!(pieces.len(), 22);
    }

    proptest! {
        #[test]
        fn entries_survive(strings: Vec<Vec<u8>>, lists in proptest::collection::vec("\\[[\\[\\]{}\",\\\\a ]{90,200}", 0..9)) {
            let all: Vec<Vec<u8>> = strings.into_iter().chain(lists.into_iter().map(String::into_bytes)).collect();
            let (mut pieces, mut out) = (Interner::default(), Vec::new());
            for string in &all {
                encode_entry(string, &mut pieces, &mut out);
            }
            let table: Vec<_> = pieces.iter().collect();
            let mut cursor = Cursor::new(&out);
            for string in &all {
                let read = match decode_entry(&mut cursor).unwrap() {
                    Entry::Whole(bytes) => bytes.to_vec(),
                    Entry::Pieces(list) => list.iter().flat_map(|index| table[*index as usize].to_vec()).collect(),
                };
                prop_assert_eq!(&read, string);
            }
            prop_assert!(cursor.is_empty());
        }
    }
}
