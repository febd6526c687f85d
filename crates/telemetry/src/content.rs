//! Messages as the JSON that the conventions define for span attributes.

use llamatelemetry_record::Content;
use serde::Serialize;

#[derive(Serialize)]
struct Message<'a> {
    role: &'a str,
    parts: Vec<Part<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Part<'a> {
    r#type: &'static str,
    content: &'a str,
}

/// What was sent, as JSON of at most `limit` characters; `None` if it cannot be made so short.
pub(crate) fn input(content: &Content, limit: Option<usize>) -> Option<String> {
    fitted(limit, |longest| {
        let messages: Vec<_> = content
            .input
            .iter()
            .map(|message| Message {
                role: &message.role,
                parts: vec![Part {
                    r#type: "text",
                    content: cut(&message.content, longest),
                }],
                finish_reason: None,
            })
            .collect();
        json(&messages)
    })
}

/// What came back, likewise. The finish reason is always there: some backends drop messages
/// without one.
pub(crate) fn output(
    content: &Content,
    finish_reason: &str,
    limit: Option<usize>,
) -> Option<String> {
    fitted(limit, |longest| {
        let parts = [("reasoning", &content.reasoning), ("text", &content.output)]
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(r#type, text)| Part {
                r#type,
                content: cut(text, longest),
            })
            .collect();
        json(&[Message {
            role: "assistant",
            parts,
            finish_reason: Some(finish_reason),
        }])
    })
}

/// Cuts the texts inside until the whole fits: cutting the JSON itself would break it.
fn fitted(limit: Option<usize>, build: impl Fn(usize) -> String) -> Option<String> {
    let Some(limit) = limit else {
        return Some(build(usize::MAX));
    };
    let fits = |longest| Some(build(longest)).filter(|json| json.chars().count() <= limit);
    if let Some(whole) = fits(usize::MAX) {
        return Some(whole);
    }
    // Texts of `low` characters fit, texts of `high` characters do not.
    let mut best = fits(0)?;
    let (mut low, mut high) = (0, limit);
    while low + 1 < high {
        let middle = usize::midpoint(low, high);
        match fits(middle) {
            Some(json) => (low, best) = (middle, json),
            None => high = middle,
        }
    }
    Some(best)
}

/// Strings and lists of them always have a JSON form.
fn json(messages: &[Message<'_>]) -> String {
    serde_json::to_string(messages).unwrap_or_default()
}

/// The first `longest` characters.
pub(crate) fn cut(text: &str, longest: usize) -> &str {
    match text.char_indices().nth(longest) {
        Some((end, _)) if text.len() > longest => &text[..end],
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llamatelemetry_record::Message as Sent;

    fn content() -> Content {
        Content {
            input: vec![Sent {
                role: "user".into(),
                content: "Zähle \"bis\" drei".into(),
            }],
            output: "eins\nzwei".into(),
            reasoning: "hm".into(),
        }
    }

    #[test]
    fn messages_have_the_form_of_the_conventions() {
        assert_eq!(
            input(&content(), None).unwrap(),
            r#"[{"role":"user","parts":[{"type":"text","content":"Zähle \"bis\" drei"}]}]"#
        );
        assert_eq!(
            output(&content(), "stop", None).unwrap(),
            r#"[{"role":"assistant","parts":[{"type":"reasoning","content":"hm"},{"type":"text","content":"eins\nzwei"}],"finish_reason":"stop"}]"#
        );
    }

    #[test]
    fn what_is_cut_is_still_json() {
        let whole = input(&content(), None).unwrap().chars().count();
        for limit in 0..=whole {
            let Some(json) = input(&content(), Some(limit)) else {
                assert!(limit < 59, "the frame alone is 58 characters: {limit}");
                continue;
            };
            assert!(json.chars().count() <= limit);
            serde_json::from_str::<serde_json::Value>(&json).unwrap();
        }
        assert_eq!(input(&content(), Some(whole)), input(&content(), None));
    }
}
