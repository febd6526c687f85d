//! An incremental decoder of Server-Sent Events, by the WHATWG HTML standard, section 9.2.

/// Turns bytes, cut anywhere, into events' data. Memory is bounded by [`SseDecoder::LIMIT`].
#[derive(Debug, Clone, Default)]
pub struct SseDecoder {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    last_was_cr: bool,
}

/// A stream that is not what a model server would send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SseError {
    /// One event is larger than the decoder keeps.
    #[error("an event of the stream is larger than {} MiB", SseDecoder::LIMIT >> 20)]
    TooLarge,
}

impl SseDecoder {
    /// The largest event kept, in bytes.
    pub const LIMIT: usize = 64 << 20;

    /// Feeds bytes and calls `on_event` with the data of each event they complete.
    pub fn push(&mut self, bytes: &[u8], mut on_event: impl FnMut(&[u8])) -> Result<(), SseError> {
        for &byte in bytes {
            // A line ends with LF, CR or CRLF.
            let ends_line = byte == b'\n' || byte == b'\r';
            if byte == b'\n' && std::mem::take(&mut self.last_was_cr) {
                continue;
            }
            self.last_was_cr = byte == b'\r';
            if ends_line {
                self.end_line(&mut on_event);
            } else if self.line.len() + self.data.len() >= Self::LIMIT {
                return Err(SseError::TooLarge);
            } else {
                self.line.push(byte);
            }
        }
        Ok(())
    }

    fn end_line(&mut self, on_event: &mut impl FnMut(&[u8])) {
        if self.line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                on_event(&self.data);
            }
            self.data.clear();
            return;
        }
        let (field, value) = match self.line.iter().position(|&byte| byte == b':') {
            Some(colon) => (&self.line[..colon], &self.line[colon + 1..]),
            None => (&self.line[..], &[][..]),
        };
        if field == b"data" {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.has_data = true;
            self.data
                .extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(chunks: &[&[u8]]) -> Vec<String> {
        let mut decoder = SseDecoder::default();
        let mut events = Vec::new();
        for chunk in chunks {
            let event = |data: &[u8]| events.push(String::from_utf8_lossy(data).into_owned());
            decoder.push(chunk, event).unwrap();
        }
        events
    }

    #[test]
    fn events_do_not_depend_on_where_the_bytes_are_cut() {
        let stream = b": ping\ndata: one\n\nevent: x\rdata: two\rdata:three\r\r\ndata\r\n\r\nid: 7\n\ndata: cut";
        let whole = decode(&[stream]);
        assert_eq!(whole, ["one", "two\nthree", ""]);
        for cut in 0..stream.len() {
            assert_eq!(
                decode(&[&stream[..cut], &stream[cut..]]),
                whole,
                "cut at {cut}"
            );
        }
    }
}
