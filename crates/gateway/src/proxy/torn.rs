//! Whole events only: a stream that breaks off must not leave half an event with the client.

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use std::collections::VecDeque;

/// Bytes of a torn event that are held at most; more are handed on as they are.
const HELD: usize = 256 << 10;

/// Holds the beginning of an event until its end is here. llama-server writes whole events, so
/// that as a rule nothing is held and nothing copied.
#[derive(Debug, Default)]
pub(super) struct Torn {
    held: BytesMut,
}

impl Torn {
    /// Hands on what ends with the end of an event.
    pub(super) fn push(&mut self, bytes: &Bytes, ready: &mut VecDeque<Frame<Bytes>>) {
        if self.held.is_empty() {
            let whole = whole_events(bytes);
            if whole > 0 {
                ready.push_back(Frame::data(bytes.slice(..whole)));
            }
            self.held.extend_from_slice(&bytes[whole..]);
        } else {
            self.held.extend_from_slice(bytes);
            let whole = whole_events(&self.held);
            if whole > 0 {
                ready.push_back(Frame::data(self.held.split_to(whole).freeze()));
            }
        }
        if self.held.len() > HELD {
            self.flush(ready);
        }
    }

    /// The stream is over: what is held belongs to it.
    pub(super) fn flush(&mut self, ready: &mut VecDeque<Frame<Bytes>>) {
        if !self.held.is_empty() {
            ready.push_back(Frame::data(self.held.split().freeze()));
        }
    }
}

/// Bytes up to the end of the last whole event: an empty line ends one.
fn whole_events(bytes: &[u8]) -> usize {
    if bytes.ends_with(b"\n\n") {
        return bytes.len();
    }
    let ends = |at: &usize| {
        let until = &bytes[..*at];
        until.ends_with(b"\n\n") || until.ends_with(b"\n\r\n") || until.ends_with(b"\r\r")
    };
    (1..=bytes.len()).rev().find(ends).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(pieces: &[&'static [u8]]) -> Vec<Bytes> {
        let (mut torn, mut ready) = (Torn::default(), VecDeque::new());
        for piece in pieces {
            torn.push(&Bytes::from_static(piece), &mut ready);
        }
        ready
            .into_iter()
            .filter_map(|frame| frame.into_data().ok())
            .collect()
    }

    #[test]
    fn half_an_event_waits_for_its_other_half() {
        assert_eq!(passed(&[b"data: 1\n\n", b"data: 2\n\n"]).len(), 2);
        assert_eq!(
            passed(&[b"data: 1\n\ndata: {\"co", b"nt\":1}", b"\n\ndata"]),
            [&b"data: 1\n\n"[..], b"data: {\"cont\":1}\n\n"]
        );
        assert_eq!(
            passed(&[b"data: 1\r\n", b"\r\nx"]),
            [&b"data: 1\r\n\r\n"[..]]
        );
    }

    #[test]
    fn nothing_is_lost_or_held_without_bound() {
        let (mut torn, mut ready) = (Torn::default(), VecDeque::new());
        torn.push(&Bytes::from_static(b"data: end"), &mut ready);
        assert!(ready.is_empty());
        torn.flush(&mut ready);
        assert_eq!(ready.len(), 1);
        torn.push(&Bytes::from(vec![b'x'; HELD + 1]), &mut ready);
        assert_eq!(ready.len(), 2);
    }
}
