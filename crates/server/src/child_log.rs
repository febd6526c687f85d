//! Reading what a child writes, always, so that it never waits for a reader.

use crate::log_line::{self, LogLine};
use crate::protocol;
use crate::watch::{Watch, trace};
use crate::{Listener, LogContent};
use std::io::{BufRead as _, BufReader, ErrorKind, Read};
use std::sync::Arc;
use std::time::Instant;

/// Longer log lines are cut, in bytes.
const LONGEST_LINE: usize = 16 << 10;
/// Longer raw lines are cut, in bytes: a state line describes the whole model.
const LONGEST_RAW: usize = 1 << 20;
/// Bytes read at once.
const BUFFER: usize = 64 << 10;

/// Reads one output stream to its end: state lines and log lines.
pub(crate) fn drain(
    stream: impl Read,
    pid: u32,
    watch: &Arc<Watch>,
    content: LogContent,
    listener: &dyn Listener,
) {
    let mut reader = BufReader::with_capacity(BUFFER, stream);
    let mut raw = Vec::new();
    let mut started: Option<LogLine> = None;
    let arrived = |line: LogLine| {
        let ready = watch.lock().ready.is_some();
        let Some(line) = content.filtered(line, ready) else {
            return;
        };
        trace(pid, &line);
        let at = watch.line_arrived(line.clone());
        listener.logged(pid, at, &line);
    };
    loop {
        raw.clear();
        match read_line(&mut reader, &mut raw) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                tracing::warn!(pid, %error, "the log of llama-server cannot be read further");
                break;
            }
        }
        let raw = String::from_utf8_lossy(&raw);
        if let Some(state) = protocol::state(raw.trim_end()) {
            watch.state_reported(state);
            continue;
        }
        if let Some(line) = join(&mut started, &raw) {
            arrived(line);
        }
    }
    if let Some(line) = started {
        arrived(line);
    }
    watch.stream_ended();
}

/// Adds a raw line to the one that was started, and gives the line once it is whole.
fn join(started: &mut Option<LogLine>, raw: &str) -> Option<LogLine> {
    let piece = log_line::read(raw.trim_end_matches(['\n', '\r'].as_slice()));
    let mut line = match started.take() {
        Some(mut line) => {
            line.text.push_str(&piece.text);
            line.level = line.level.max(piece.level);
            line
        }
        None => LogLine {
            at: Instant::now(),
            server_micros: piece.server_micros,
            level: piece.level,
            text: piece.text,
        },
    };
    let too_long = line.text.len() > LONGEST_LINE;
    if too_long {
        let end = (0..=LONGEST_LINE)
            .rev()
            .find(|end| line.text.is_char_boundary(*end));
        line.text.truncate(end.unwrap_or_default());
    }
    if piece.whole || too_long {
        (!line.text.is_empty()).then_some(line)
    } else {
        *started = Some(line);
        None
    }
}

/// Reads one line, of which at most [`LONGEST_RAW`] bytes are kept. `false` at the end.
fn read_line<R: Read>(reader: &mut BufReader<R>, line: &mut Vec<u8>) -> std::io::Result<bool> {
    let mut any = false;
    loop {
        let available = match reader.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            available => available?,
        };
        if available.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = available.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(available.len(), |end| end + 1);
        let room = LONGEST_RAW.saturating_sub(line.len());
        line.extend_from_slice(&available[..taken.min(room)]);
        reader.consume(taken);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listener::Nobody;

    fn drained(text: &[u8]) -> Arc<Watch> {
        let watch = Arc::new(Watch::new(1));
        drain(text, 1, &watch, LogContent::Shown, &Nobody);
        watch
    }

    #[test]
    fn pieces_become_lines() {
        let watch = drained(
            b"{\"type\":\"log\",\"level\":\"info\",\"msg\":\"one \"}\n\
              {\"type\":\"log\",\"level\":\"error\",\"msg\":\"two\\n\"}\n\
              plain\r\n\n{\"type\":\"log\",\"msg\":\"last\"}\n",
        );
        assert_eq!(watch.log_text(), ["one two", "plain", "last"]);
    }

    #[test]
    fn long_lines_are_cut_and_foreign_bytes_survive() {
        let mut text = vec![b'x'; LONGEST_RAW * 3];
        text.extend_from_slice(b"\nnext \xff\n");
        let watch = drained(&text);
        let lines = watch.log_text();
        assert_eq!(lines[0].len(), LONGEST_LINE);
        assert_eq!(lines[1], "next \u{fffd}");
    }

    #[test]
    fn states_are_not_log_lines() {
        let watch = drained(b"cmd_child_to_router:state:{\"state\":\"ready\",\"payload\":{}}\n");
        assert!(watch.lock().ready.is_some());
        assert!(watch.log_text().is_empty());
    }
}
