//! One line of a server's log, understood.

use serde::Deserialize;
use std::time::Instant;

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For whoever debugs llama.cpp.
    Debug,
    /// What goes on.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

/// One line of a server's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it arrived here.
    pub at: Instant,
    /// The server's own clock: microseconds since its start, if the line says so.
    pub server_micros: Option<u64>,
    /// How grave it is. Lines that do not say are [`LogLevel::Info`].
    pub level: LogLevel,
    /// The text, without its end of line.
    pub text: String,
}

/// A slot began to work on a request: the one public sign of which slot serves which request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotLaunch {
    /// When it happened, to within a millisecond or so: by the server's own clock where its log
    /// tells it, else when the line arrived. Lines may lag on a busy machine.
    pub at: Instant,
    /// The server's own clock: microseconds since its start, if the line says so.
    pub server_micros: Option<u64>,
    /// The slot's number.
    pub slot: u32,
    /// The server's number for the request.
    pub task: i64,
}

#[derive(Deserialize)]
struct JsonLine<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(default)]
    time: Option<u64>,
    #[serde(default)]
    level: Option<String>,
    #[serde(default)]
    msg: Option<String>,
}

/// What stands in a raw line: a piece of text that may go on in the next piece.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) server_micros: Option<u64>,
    pub(crate) level: LogLevel,
    pub(crate) text: String,
    /// Whether the line ends with this piece.
    pub(crate) whole: bool,
}

/// Reads a raw line: llama-server's JSON form, its prefixed text form, or any text.
pub(crate) fn read(raw: &str) -> Piece {
    if raw.starts_with('{')
        && let Ok(line) = serde_json::from_str::<JsonLine<'_>>(raw)
    {
        let level = line.level.as_deref().map_or(LogLevel::Info, level_of_word);
        return match line.msg {
            Some(mut text) => {
                let whole = text.ends_with('\n') || line.kind != "log";
                if whole {
                    text.truncate(text.trim_end().len());
                }
                Piece {
                    server_micros: line.time,
                    level,
                    text,
                    whole,
                }
            }
            // A document of another kind, such as the memory breakdown: kept as it came.
            None => Piece {
                server_micros: line.time,
                level,
                text: raw.to_owned(),
                whole: true,
            },
        };
    }
    let (server_micros, rest) = split_time(raw);
    let (level, text) = split_level(rest);
    Piece {
        server_micros,
        level,
        text: text.trim_end().to_owned(),
        whole: true,
    }
}

fn level_of_word(word: &str) -> LogLevel {
    match word {
        "error" => LogLevel::Error,
        "warn" | "warning" => LogLevel::Warn,
        "debug" | "trace" => LogLevel::Debug,
        _ => LogLevel::Info,
    }
}

/// `0.00.191.407 I text`: minutes, seconds, milliseconds, microseconds.
fn split_time(raw: &str) -> (Option<u64>, &str) {
    let Some((stamp, rest)) = raw.split_once(' ') else {
        return (None, raw);
    };
    let mut micros = 0_u64;
    let mut parts = 0;
    for (part, scale) in stamp.split('.').zip([60_000_000, 1_000_000, 1_000, 1]) {
        let Some(scaled) = part.parse::<u64>().ok().and_then(|n| n.checked_mul(scale)) else {
            return (None, raw);
        };
        micros = micros.saturating_add(scaled);
        parts += 1;
    }
    if parts == 4 && stamp.matches('.').count() == 3 {
        (Some(micros), rest)
    } else {
        (None, raw)
    }
}

fn split_level(raw: &str) -> (LogLevel, &str) {
    let level = match raw.as_bytes() {
        [b'D', b' ', ..] => LogLevel::Debug,
        [b'I', b' ', ..] => LogLevel::Info,
        [b'W', b' ', ..] => LogLevel::Warn,
        [b'E', b' ', ..] => LogLevel::Error,
        _ => return (LogLevel::Info, raw),
    };
    (level, raw.get(2..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_are_read() {
        let piece = read(r#"{"type":"log","time":691,"level":"warn","msg":"srv  a: b\n"}"#);
        assert_eq!(
            piece,
            Piece {
                server_micros: Some(691),
                level: LogLevel::Warn,
                text: "srv  a: b".into(),
                whole: true
            }
        );
        assert!(!read(r#"{"type":"log","time":1,"level":"info","msg":"."}"#).whole);
        let other = r#"{"type":"fit_memory_breakdown","data":{"unit":"MiB"}}"#;
        assert_eq!(read(other).text, other);
    }

    #[test]
    fn text_lines_are_read() {
        let piece = read("1.02.003.004 E srv  load_model: failed");
        assert_eq!(piece.server_micros, Some(62_003_004));
        assert_eq!(piece.level, LogLevel::Error);
        assert_eq!(piece.text, "srv  load_model: failed");
        let plain = read("main: model loaded");
        assert_eq!((plain.server_micros, plain.level), (None, LogLevel::Info));
        assert_eq!(plain.text, "main: model loaded");
        assert_eq!(read("{not json").text, "{not json");
        assert_eq!(read("1.2.3 E x").server_micros, None);
        assert_eq!(read("E").text, "E");
    }
}
