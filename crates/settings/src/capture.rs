//! Where prompts and answers go, if anywhere.

use crate::TelemetrySettings;

/// Where prompts and answers are recorded, by the standard words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CaptureContent {
    /// Nowhere (`NO_CONTENT`).
    #[default]
    NoContent,
    /// On the spans of their requests (`SPAN_ONLY`).
    SpanOnly,
    /// In log records beside the spans (`EVENT_ONLY`).
    EventOnly,
    /// Both (`SPAN_AND_EVENT`).
    SpanAndEvent,
}

impl CaptureContent {
    /// Every choice with the word that the config file and `llt config show` have for it.
    pub(crate) const WORDS: &[(&str, Self)] = &[
        ("no_content", Self::NoContent),
        ("span_only", Self::SpanOnly),
        ("event_only", Self::EventOnly),
        ("span_and_event", Self::SpanAndEvent),
    ];

    /// The choice of a word, in any case; a yes without more means spans.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        let word = word.trim().to_ascii_lowercase();
        match word.as_str() {
            "1" | "true" | "yes" | "on" => Some(Self::SpanOnly),
            "0" | "false" | "no" | "off" => Some(Self::NoContent),
            word => Self::WORDS
                .iter()
                .find(|(name, _)| *name == word)
                .map(|(_, choice)| *choice),
        }
    }

    /// The word that the config file has for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoContent => "no_content",
            Self::SpanOnly => "span_only",
            Self::EventOnly => "event_only",
            Self::SpanAndEvent => "span_and_event",
        }
    }
}

impl TelemetrySettings {
    /// Whether prompts and answers go onto spans.
    pub fn content_on_spans(&self) -> bool {
        matches!(
            self.capture_content,
            CaptureContent::SpanOnly | CaptureContent::SpanAndEvent
        )
    }

    /// Whether each request leaves an event beside its span: as asked, else if content is to go
    /// there.
    pub fn emits_events(&self) -> bool {
        self.emit_event.unwrap_or(matches!(
            self.capture_content,
            CaptureContent::EventOnly | CaptureContent::SpanAndEvent
        ))
    }

    /// Whether prompts and answers go into events.
    pub fn content_in_events(&self) -> bool {
        self.emits_events()
            && matches!(
                self.capture_content,
                CaptureContent::EventOnly | CaptureContent::SpanAndEvent
            )
    }

    /// Whether prompts and answers are recorded at all.
    pub fn captures_content(&self) -> bool {
        self.content_on_spans() || self.content_in_events()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_follow_the_mode_unless_told_otherwise() {
        let settings = |capture_content, emit_event| TelemetrySettings {
            capture_content,
            emit_event,
            ..TelemetrySettings::default()
        };
        // Mode, asked for, on spans, events, content in events.
        let cases = [
            (CaptureContent::NoContent, None, false, false, false),
            (CaptureContent::NoContent, Some(true), false, true, false),
            (CaptureContent::SpanOnly, None, true, false, false),
            (CaptureContent::SpanOnly, Some(true), true, true, false),
            (CaptureContent::EventOnly, None, false, true, true),
            (CaptureContent::EventOnly, Some(false), false, false, false),
            (CaptureContent::SpanAndEvent, None, true, true, true),
            (
                CaptureContent::SpanAndEvent,
                Some(false),
                true,
                false,
                false,
            ),
        ];
        for (mode, asked, spans, events, content) in cases {
            let settings = settings(mode, asked);
            assert_eq!(settings.content_on_spans(), spans, "{mode:?} {asked:?}");
            assert_eq!(settings.emits_events(), events, "{mode:?} {asked:?}");
            assert_eq!(settings.content_in_events(), content, "{mode:?} {asked:?}");
            assert_eq!(settings.captures_content(), spans || content);
        }
    }

    #[test]
    fn words_read_back() {
        for (word, choice) in CaptureContent::WORDS {
            assert_eq!(CaptureContent::of_word(word), Some(*choice));
            assert_eq!(choice.as_str(), *word);
        }
        assert_eq!(
            CaptureContent::of_word("SPAN_ONLY"),
            Some(CaptureContent::SpanOnly)
        );
        assert_eq!(CaptureContent::of_word("perhaps"), None);
    }
}
