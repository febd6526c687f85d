//! What processes say to each other: a length of four bytes, the most significant first, then as
//! many bytes of JSON. The version is in the socket's name, so both sides speak the same.

use super::sample::Sample;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};

/// Changes with every change to what follows, fields of [`Sample`] included that a reader needs.
pub(super) const VERSION: u32 = 1;

/// From the process that reads to those that follow.
pub(super) type ToFollower = Sample;

/// From a process that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FromFollower {
    /// Whether it has work in flight.
    pub(super) busy: bool,
    /// Whether it wants a full look now.
    pub(super) look: bool,
}

/// More than any machine's sample; whoever sends more speaks another language.
const LONGEST: usize = 4 << 20;

/// A message as it goes over the socket.
pub(super) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

/// Bytes that came and are not a whole message yet.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
}

impl Inbox {
    /// Takes what can be read without waiting. `false`: the other side has closed.
    pub(super) fn fill(&mut self, mut from: impl Read) -> io::Result<bool> {
        let mut block = [0; 16 * 1024];
        loop {
            match from.read(&mut block) {
                Ok(0) => return Ok(false),
                Ok(count) => self.bytes.extend_from_slice(&block[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            // What is whole is taken out before more is read.
            if self.bytes.len() > LONGEST {
                return Ok(true);
            }
        }
    }

    /// The next whole message. An error: the other side does not speak this language.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some((length, rest)) = self.bytes.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(io::Error::other)?;
        if length > LONGEST {
            return Err(io::Error::other("a message longer than any"));
        }
        let Some(message) = rest.get(..length) else {
            return Ok(None);
        };
        let message = serde_json::from_slice(message)?;
        self.bytes.drain(..4 + length);
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_any_cut() {
        let first = FromFollower {
            busy: true,
            look: false,
        };
        let second = FromFollower {
            busy: false,
            look: true,
        };
        let bytes = [encode(&first).unwrap(), encode(&second).unwrap()].concat();
        for cut in 0..bytes.len() {
            let mut inbox = Inbox::default();
            let mut found = Vec::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                assert!(
                    !inbox.fill(part).unwrap(),
                    "a slice ends as a closed socket does"
                );
                while let Some(message) = inbox.next::<FromFollower>().unwrap() {
                    found.push(message);
                }
            }
            assert_eq!(found, [first, second], "cut at {cut}");
        }
    }

    #[test]
    fn another_language_is_an_error_and_not_much_memory() {
        let mut inbox = Inbox::default();
        inbox.fill(&b"GET / HTTP/1.1\r\n\r\n"[..]).unwrap();
        assert!(inbox.next::<FromFollower>().is_err());
        let mut inbox = Inbox::default();
        inbox.fill(&b"\0\0\0\x02{]"[..]).unwrap();
        assert!(inbox.next::<FromFollower>().is_err());
    }
}
