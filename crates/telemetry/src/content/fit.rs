//! Making messages fit a limit: cutting the JSON itself would break it, so texts inside are cut,
//! and where that does not help, messages in the middle are left out. What was cut says so.

use serde_json::{Map, Value, json};

/// Texts shorter than this say too little: messages in the middle are left out before.
const SHORTEST: usize = 256;

/// Names, ids and types are no content and are never cut.
const KEPT: &[&str] = &[
    "type",
    "role",
    "id",
    "name",
    "modality",
    "mime_type",
    "sha256",
    "file_id",
    "finish_reason",
];

/// The items with every text at most `part` characters long and at most `whole` characters of JSON
/// in all, and that JSON; `None` if they cannot be made so short.
pub(super) fn fitted(items: &[Value], part: usize, whole: usize) -> Option<(Vec<Value>, String)> {
    let fits = |items: Vec<Value>| {
        let json = serde_json::to_string(&items).ok()?;
        // Bytes are never fewer than characters.
        (json.len() <= whole || json.chars().count() <= whole).then_some((items, json))
    };
    let within = |longest: usize, kept: Option<usize>| {
        let left = kept.map_or_else(|| items.to_vec(), |last| without_middle(items, last));
        fits(left.iter().map(|item| shortened(item, longest)).collect())
    };
    if let Some(all) = within(part, None) {
        return Some(all);
    }
    let longest = part.min(whole);
    if longest > SHORTEST
        && let Some(found) = most(SHORTEST, longest, |longest| within(longest, None))
    {
        return Some(found);
    }
    let shortest = SHORTEST.min(longest);
    if items.len() > 2
        && let Some(found) = most(0, items.len(), |last| within(shortest, Some(last)))
    {
        return Some(found);
    }
    most(0, shortest + 1, |longest| within(longest, None))
        .or_else(|| most(0, shortest + 1, |longest| within(longest, Some(1))))
}

/// What `attempt` gives for the greatest number from `low` on and below `high` for which it gives
/// anything, if it does so for `low`.
fn most<T>(mut low: usize, mut high: usize, attempt: impl Fn(usize) -> Option<T>) -> Option<T> {
    let mut best = attempt(low)?;
    while low + 1 < high {
        let middle = usize::midpoint(low, high);
        match attempt(middle) {
            Some(found) => (low, best) = (middle, found),
            None => high = middle,
        }
    }
    Some(best)
}

/// The first item and the `last` ones, and between them one that says how many are missing.
fn without_middle(items: &[Value], last: usize) -> Vec<Value> {
    let missing = items.len().saturating_sub(last + 1);
    if missing == 0 {
        return items.to_vec();
    }
    let omitted = json!({"role": "omitted", "parts": [{"type": "omitted", "messages": missing}]});
    let head = items.iter().take(1).cloned();
    let tail = items.iter().skip(1 + missing).cloned();
    head.chain([omitted]).chain(tail).collect()
}

/// The item with its texts cut; each object whose own texts were cut says how much is missing.
fn shortened(item: &Value, longest: usize) -> Value {
    let mut cut_off = 0;
    let short = shorten(item, longest, &mut cut_off);
    match short {
        Value::Object(fields) if cut_off > 0 => marked(fields, cut_off),
        short => short,
    }
}

fn shorten(value: &Value, longest: usize, cut_off: &mut usize) -> Value {
    match value {
        Value::String(text) => {
            let short = cut(text, longest);
            if short.len() < text.len() {
                *cut_off += text[short.len()..].chars().count();
            }
            short.into()
        }
        Value::Array(items) => items
            .iter()
            .map(|item| {
                let is_part = item.get("type").is_some();
                if is_part {
                    shortened(item, longest)
                } else {
                    shorten(item, longest, cut_off)
                }
            })
            .collect(),
        Value::Object(fields) => {
            let short = fields.iter().map(|(key, value)| {
                let value = match value {
                    Value::String(_) if KEPT.contains(&key.as_str()) => value.clone(),
                    value => shorten(value, longest, cut_off),
                };
                (key.clone(), value)
            });
            Value::Object(short.collect())
        }
        other => other.clone(),
    }
}

fn marked(mut fields: Map<String, Value>, cut_off: usize) -> Value {
    fields.insert("truncated_characters".into(), cut_off.into());
    Value::Object(fields)
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

    fn message(text: &str) -> Value {
        json!({"role": "user", "parts": [{"type": "text", "content": text}]})
    }

    #[test]
    fn a_cut_part_says_how_much_is_missing() {
        let (items, _) = fitted(&[message("0123456789")], 4, usize::MAX).unwrap();
        assert_eq!(
            items[0]["parts"][0],
            json!({"type": "text", "content": "0123", "truncated_characters": 6})
        );
    }

    #[test]
    fn names_and_ids_stay_whole_and_arguments_stay_json() {
        let call = json!({"role": "assistant", "parts": [{"type": "tool_call", "id": "call-1",
            "name": "search", "arguments": {"query": "long text", "n": 3}}]});
        let (items, _) = fitted(&[call], 4, usize::MAX).unwrap();
        assert_eq!(
            items[0]["parts"][0],
            json!({"type": "tool_call", "id": "call-1", "name": "search",
                "arguments": {"query": "long", "n": 3}, "truncated_characters": 5})
        );
    }

    #[test]
    fn the_whole_is_met_by_shorter_texts_first_then_by_fewer_messages() {
        let long = "x".repeat(1000);
        let many: Vec<_> = (0..10).map(|_| message(&long)).collect();
        let (items, json) = fitted(&many, usize::MAX, 5000).unwrap();
        assert_eq!(items.len(), 10);
        assert!(json.len() <= 5000 && json.len() > 4900, "{}", json.len());

        let (items, json) = fitted(&many, usize::MAX, 2000).unwrap();
        assert!(json.len() <= 2000, "{}", json.len());
        assert_eq!(items[1]["parts"][0]["type"], "omitted");
        let missing = items[1]["parts"][0]["messages"].as_u64().unwrap();
        assert_eq!(missing + items.len() as u64 - 1, 10);
        assert_eq!(
            items[0]["parts"][0]["content"],
            items.last().unwrap()["parts"][0]["content"]
        );
    }

    #[test]
    fn what_cannot_fit_is_none() {
        assert_eq!(fitted(&[message("x")], usize::MAX, 10), None);
        assert_eq!(fitted(&[], usize::MAX, 2).unwrap().1, "[]");
    }
}
