//! An incremental decoder of Server-Sent Events, by the WHATWG HTML standard, section 9.2.

/// May stand before the first line and is no part of it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Turns bytes, cut anywhere, into events' data. Memory is bounded by [`SseDecoder::LIMIT`].
#[derive(Debug, Clone, Default)]
pub struct SseDecoder {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_cr: bool,
    begun: bool,
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
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        mut on_event: impl FnMut(&[u8]),
    ) -> Result<(), SseError> {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        // A line ends with LF, CR or CRLF.
        while let Some(end) = bytes
            .iter()
            .position(|&byte| byte == b'\n' || byte == b'\r')
        {
            self.keep(&bytes[..end])?;
            self.end_line(&mut on_event);
            let rest = &bytes[end + 1..];
            bytes = match bytes[end] {
                b'\r' if rest.is_empty() => {
                    self.after_cr = true;
                    rest
                }
                b'\r' => rest.strip_prefix(b"\n").unwrap_or(rest),
                _ => rest,
            };
        }
        self.keep(bytes)
    }

    /// Adds to the line that is not ended yet.
    fn keep(&mut self, piece: &[u8]) -> Result<(), SseError> {
        if self.line.len() + self.data.len() + piece.len() > Self::LIMIT {
            return Err(SseError::TooLarge);
        }
        self.line.extend_from_slice(piece);
        Ok(())
    }

    fn end_line(&mut self, on_event: &mut impl FnMut(&[u8])) {
        if !std::mem::replace(&mut self.begun, true) && self.line.starts_with(BYTE_ORDER_MARK) {
            self.line.drain(..BYTE_ORDER_MARK.len());
        }
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
        let stream = b"\xef\xbb\xbfdata: marked\n\n: ping\ndata: one\n\nevent: x\rdata: two\rdata:three\r\r\ndata\r\n\r\nid: 7\n\ndata: cut";
        let whole = decode(&[stream]);
        assert_eq!(whole, ["marked", "one", "two\nthree", ""]);
        for cut in 0..stream.len() {
            assert_eq!(
                decode(&[&stream[..cut], &stream[cut..]]),
                whole,
                "cut at {cut}"
            );
        }
    }
}
