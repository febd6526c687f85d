//! The form of a spool file: a head, then frames and marks of what was settled, each with its
//! length and a checksum.
//!
//! ```text
//! kind 1 B · items 4 B · length 4 B · CRC-32 of all before and of the payload 4 B · payload
//! ```
//!
//! Numbers are little-endian. A file that ends in the middle of a record, because the machine went
//! down or the disk was full, is good up to there.

use crate::signal::Origin;
use flate2::Crc;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message as _;

const HEAD: u8 = b'H';
const FRAME: u8 = b'F';
const SETTLED: u8 = b'S';
/// Bytes in front of a payload.
const FRONT: usize = 13;

/// Items that wait in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) items: u32,
    /// Where their bytes begin.
    pub(super) at: u64,
    /// How many bytes they are.
    pub(super) length: u32,
}

impl Waiting {
    /// Where the record ends.
    pub(super) fn end(&self) -> u64 {
        self.at + u64::from(self.length)
    }
}

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) destination: String,
    pub(super) origin: Origin,
    /// What was not settled, in order.
    pub(super) waiting: Vec<Waiting>,
    /// Bytes of the head.
    pub(super) head: u64,
    /// Bytes of good records.
    pub(super) good: u64,
}

/// A file's head: where its items are to be sent, and who made them.
pub(super) fn head(destination: &str, origin: &Origin) -> Vec<u8> {
    let mut payload = Vec::new();
    let length = u32::try_from(destination.len()).unwrap_or(u32::MAX);
    payload.extend_from_slice(&length.to_le_bytes());
    payload.extend_from_slice(destination.as_bytes());
    // A request without items says who would have made them.
    payload.extend_from_slice(&origin.request(&[]));
    record(HEAD, 0, &payload)
}

pub(super) fn frame(items: u32, bytes: &[u8]) -> Vec<u8> {
    record(FRAME, items, bytes)
}

/// Everything that ends at or before this place in the file is settled.
pub(super) fn settled(up_to: u64) -> Vec<u8> {
    record(SETTLED, 0, &up_to.to_le_bytes())
}

/// Bytes that a frame takes in a file.
pub(super) fn size(bytes: usize) -> u64 {
    (FRONT + bytes) as u64
}

fn record(kind: u8, items: u32, payload: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(FRONT + payload.len());
    record.push(kind);
    record.extend_from_slice(&items.to_le_bytes());
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    record.extend_from_slice(&length.to_le_bytes());
    let sum = checksum(&record, payload);
    record.extend_from_slice(&sum.to_le_bytes());
    record.extend_from_slice(payload);
    record
}

fn checksum(front: &[u8], payload: &[u8]) -> u32 {
    let mut sum = Crc::new();
    sum.update(front);
    sum.update(payload);
    sum.sum()
}

/// Reads a file. `None` if not even its head is good.
pub(super) fn read(bytes: &[u8]) -> Option<Contents> {
    let (kind, _, payload, mut at) = next(bytes, 0)?;
    if kind != HEAD {
        return None;
    }
    let (length, rest) = payload.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (destination, request) = rest.split_at_checked(length)?;
    let mut contents = Contents {
        destination: String::from_utf8(destination.to_vec()).ok()?,
        origin: origin(request)?,
        waiting: Vec::new(),
        head: at as u64,
        good: at as u64,
    };
    let mut settled = 0;
    while let Some((kind, items, payload, end)) = next(bytes, at) {
        match kind {
            FRAME => contents.waiting.push(Waiting {
                items,
                at: (end - payload.len()) as u64,
                length: u32::try_from(payload.len()).ok()?,
            }),
            // One of another size is of another version: all before it is good.
            SETTLED => match payload.try_into() {
                Ok(place) => settled = u64::from_le_bytes(place),
                Err(_) => break,
            },
            _ => break,
        }
        at = end;
        contents.good = end as u64;
    }
    contents.waiting.retain(|waiting| waiting.end() > settled);
    Some(contents)
}

/// The record at this place: its kind, items and payload, and where it ends.
fn next(bytes: &[u8], at: usize) -> Option<(u8, u32, &[u8], usize)> {
    let (front, rest) = bytes.get(at..)?.split_first_chunk::<FRONT>()?;
    let number = |from: usize| {
        let bytes = front.get(from..from + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let (items, length, sum) = (number(1)?, number(5)?, number(9)?);
    let payload = rest.get(..usize::try_from(length).ok()?)?;
    let good = checksum(&front[..9], payload) == sum;
    good.then(|| (front[0], items, payload, at + FRONT + payload.len()))
}

fn origin(request: &[u8]) -> Option<Origin> {
    let whole = TracesData::decode(request).ok()?.resource_spans.pop()?;
    let scope = whole.scope_spans.into_iter().next()?;
    Some(Origin::new(
        &whole.resource?,
        &scope.scope?,
        scope.schema_url,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn sample() -> (Origin, Vec<u8>) {
        let scope = InstrumentationScope {
            name: "scope".into(),
            ..InstrumentationScope::default()
        };
        let origin = Origin::new(&Resource::default(), &scope, "url");
        let mut file = head("http://a/v1/traces", &origin);
        for text in [&b"one"[..], b"two", b"three"] {
            file.extend(frame(2, text));
        }
        (origin, file)
    }

    fn index(at: u64) -> usize {
        usize::try_from(at).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let (origin, mut file) = sample();
        let contents = read(&file).unwrap();
        assert_eq!(contents.origin, origin);
        assert_eq!(contents.destination, "http://a/v1/traces");
        assert_eq!(contents.good, file.len() as u64);
        let texts: Vec<&[u8]> = contents
            .waiting
            .iter()
            .map(|waiting| &file[index(waiting.at)..index(waiting.end())])
            .collect();
        assert_eq!(texts, [&b"one"[..], b"two", b"three"]);
        let first = contents.waiting[0].end();
        file.extend(settled(first));
        assert_eq!(read(&file).unwrap().waiting, contents.waiting[1..]);
    }

    proptest! {
        /// Records of any kind and size, right by their checksums, behind a good head.
        #[test]
        fn any_records_are_read_up_to_the_first_that_is_none(
            records in vec((prop_oneof![Just(FRAME), Just(SETTLED), any::<u8>()], any::<u32>(), vec(any::<u8>(), 0..12)), 0..12),
            rest in vec(any::<u8>(), 0..40),
        ) {
            let (_, mut file) = sample();
            for (kind, items, payload) in &records {
                file.extend(record(*kind, *items, payload));
            }
            file.extend(rest);
            let contents = read(&file).unwrap();
            prop_assert!(contents.good >= contents.head && contents.good <= file.len() as u64);
            for waiting in &contents.waiting {
                prop_assert!(waiting.at >= contents.head && waiting.end() <= contents.good);
            }
            // What is kept of it reads the same.
            let kept = read(&file[..index(contents.good)]).unwrap();
            prop_assert_eq!(kept, contents);
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes: Vec<u8>, payload: Vec<u8>) {
            read(&bytes);
            read(&record(HEAD, 0, &payload));
        }
    }

    #[test]
    fn a_damaged_tail_costs_only_itself() {
        let (_, file) = sample();
        let whole = read(&file).unwrap();
        for end in 0..file.len() {
            let Some(contents) = read(&file[..end]) else {
                assert!((end as u64) < whole.head);
                continue;
            };
            assert!(contents.good <= end as u64);
            assert_eq!(contents.waiting, whole.waiting[..contents.waiting.len()]);
        }
        let mut flipped = file.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(read(&flipped).unwrap().waiting, whole.waiting[..2]);
    }
}
