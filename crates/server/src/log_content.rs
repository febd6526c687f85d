//! Keeping what clients sent out of a server's log: llama-server quotes requests in its debug
//! lines, in warnings and in errors.

use crate::log_line::{LogLevel, LogLine};
use std::borrow::Cow;

/// What becomes of log lines that may quote what clients sent or got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogContent {
    /// Quotations are cut off, and lines that may be nothing else are left out.
    #[default]
    Withheld,
    /// Lines are passed on as they are.
    Shown,
}

/// How lines begin that tell of a crash and quote nobody.
const CRASHES: &[&str] = &["ggml", "CUDA error", "terminate called after"];

/// What opens a quotation.
const QUOTES: &[char] = &['\'', '"', '`', '{', '\n', '\r'];

impl LogContent {
    /// The line as it may be passed on; `None` if it may not be. A server that is not ready yet has
    /// nothing to quote.
    pub(crate) fn filtered(self, line: LogLine, ready: bool) -> Option<LogLine> {
        if self == Self::Shown || !ready {
            return Some(line);
        }
        let crash = CRASHES.iter().any(|start| line.text.starts_with(start))
            || line.text.starts_with('/') && line.text.contains("GGML_ASSERT(");
        if crash {
            return Some(line);
        }
        // What is not of the log's own form may be the rest of a quotation; debug lines print
        // requests and answers whole.
        if line.server_micros.is_none() || line.level == LogLevel::Debug {
            return None;
        }
        let text = match unquoted(&line.text, line.level >= LogLevel::Warn) {
            Cow::Borrowed(text) if text.len() == line.text.len() => return Some(line),
            text => text.into_owned(),
        };
        Some(LogLine { text, ..line })
    }
}

/// The text up to where it begins to quote. In a grave line everything after a second colon is
/// taken for a quotation: there stands what an exception said.
fn unquoted(text: &str, grave: bool) -> Cow<'_, str> {
    let body = body(text);
    let quote = text[body..].find(QUOTES);
    let clause = text[body..].find(": ").filter(|_| grave);
    let end = match (quote, clause) {
        (Some(quote), Some(clause)) => quote.min(clause),
        (Some(end), None) | (None, Some(end)) => end,
        (None, None) => return text.into(),
    };
    format!("{} […]", text[..body + end].trim_end()).into()
}

/// Where a line's own words begin: after `srv  function: ` or `slot function: id 0 | task 1 | `.
fn body(text: &str) -> usize {
    let quote = text.find(QUOTES).unwrap_or(text.len());
    let head = &text[..quote];
    if head.starts_with("slot ") {
        let bars = head.match_indices(" | ").map(|(at, bar)| at + bar.len());
        if let Some(end) = bars.take(2).last() {
            return end;
        }
    }
    head.find(": ").map_or(0, |colon| colon + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn passed(level: LogLevel, text: &str) -> Option<String> {
        let line = LogLine {
            at: Instant::now(),
            server_micros: Some(1),
            level,
            text: text.to_owned(),
        };
        LogContent::Withheld
            .filtered(line, true)
            .map(|line| line.text)
    }

    #[test]
    fn debug_lines_are_withheld_and_plain_ones_pass() {
        assert_eq!(passed(LogLevel::Debug, "srv  log: request: {}"), None);
        for text in [
            "slot print_timing: id  0 | task 0 | prompt eval time = 1.5 ms / 3 tokens",
            "srv  params_from_: chat format: Content-only",
            "slot launch_slot_: id  3 | task 0 | processing task, is_child = 0",
        ] {
            assert_eq!(passed(LogLevel::Info, text).as_deref(), Some(text));
        }
        let shift =
            "slot update_slots: id  0 | task 7 | slot context shift, n_keep = 1, n_left = 2";
        assert_eq!(passed(LogLevel::Warn, shift).as_deref(), Some(shift));
    }

    #[test]
    fn what_is_quoted_is_cut() {
        let cases = [
            (
                LogLevel::Error,
                "srv  operator(): got exception: {\"error\":\"canary\"}",
                "srv  operator(): got exception […]",
            ),
            (
                LogLevel::Error,
                "slot update_slots: id  0 | task 7 | got exception: canary | more",
                "slot update_slots: id  0 | task 7 | got exception […]",
            ),
            (
                LogLevel::Warn,
                "common_chat_peg_parse: unparsed peg-native output: canary",
                "common_chat_peg_parse: unparsed peg-native output […]",
            ),
            (
                LogLevel::Info,
                "srv  handle_media: downloading image from 'http://host/canary'",
                "srv  handle_media: downloading image from […]",
            ),
            (
                LogLevel::Info,
                "sampler params\ncanary",
                "sampler params […]",
            ),
        ];
        for (level, text, expected) in cases {
            assert_eq!(passed(level, text).as_deref(), Some(expected));
        }
    }

    #[test]
    fn foreign_lines_pass_only_before_the_server_is_ready_or_when_it_crashes() {
        let line = |text: &str| LogLine {
            at: Instant::now(),
            server_micros: None,
            level: LogLevel::Info,
            text: text.to_owned(),
        };
        let withheld = LogContent::Withheld;
        assert!(withheld.filtered(line("root ::= canary"), true).is_none());
        assert!(withheld.filtered(line("root ::= canary"), false).is_some());
        assert!(LogContent::Shown.filtered(line("canary"), true).is_some());
        for crash in [
            "CUDA error: out of memory",
            "/src/ggml.c:12: GGML_ASSERT(a < b) failed",
        ] {
            let passed = withheld.filtered(line(crash), true);
            assert_eq!(passed.map(|line| line.text).as_deref(), Some(crash));
        }
    }
}
