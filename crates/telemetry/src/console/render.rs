//! One request's spans as text.

use crate::content::cut;
use crate::names::attribute;
use opentelemetry::trace::Status;
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;
use std::fmt;
use std::time::Duration;

/// Where attribute lines break, characters.
const WIDTH: usize = 100;
/// Characters of one attribute's value at most.
const LONGEST_VALUE: usize = 240;
/// Characters of the branch in front of a child.
const BRANCH: usize = 3;

/// The tree of one request: the request's span first, then its children. Written as:
///
/// ```text
/// chat smollm2      812.3 ms  31 + 48 tokens  stop
/// ├─ queue            0.9 ms
/// ├─ prefill         64.7 ms  31 tokens + 0 cached  479.5 tokens/s
/// └─ decode         746.7 ms  48 tokens  63.0 tokens/s
///    trace 0af7651916cd43dd8448eb211c80319c  span b7ad6b7169203331
///    gen_ai.provider.name=llama_cpp …
/// ```
pub(super) struct Tree<'a>(pub(super) &'a [SpanData]);

impl fmt::Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((root, children)) = self.0.split_first() else {
            return Ok(());
        };
        let width = children
            .iter()
            .map(|child| child.name.chars().count() + BRANCH)
            .chain([root.name.chars().count()])
            .max()
            .unwrap_or_default();
        line(f, root, width, &request_figures(root))?;
        for (index, child) in children.iter().enumerate() {
            let last = index + 1 == children.len();
            f.write_str(if last { "└─ " } else { "├─ " })?;
            line(f, child, width - BRANCH, &phase_figures(child))?;
        }
        if let Status::Error { description } = &root.status {
            let kind = find(root, attribute::ERROR_TYPE);
            let kind = kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
            writeln!(f, "   failed{kind}: {description}")?;
        }
        identity(f, root)?;
        attributes(f, root)
    }
}

fn line(
    f: &mut fmt::Formatter<'_>,
    span: &SpanData,
    width: usize,
    figures: &[String],
) -> fmt::Result {
    let time = span
        .end_time
        .duration_since(span.start_time)
        .unwrap_or_default();
    write!(f, "{:width$}  {:>12}", span.name, milliseconds(time))?;
    for figure in figures {
        write!(f, "  {figure}")?;
    }
    writeln!(f)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// Six digits after the point are enough for a person; trailing zeros say nothing.
fn decimal(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn request_figures(root: &SpanData) -> Vec<String> {
    let input = find(root, attribute::INPUT_TOKENS);
    let output = find(root, attribute::OUTPUT_TOKENS);
    let tokens = match (input, output) {
        (Some(input), Some(output)) => Some(format!("{input} + {output} tokens")),
        (Some(tokens), None) | (None, Some(tokens)) => Some(format!("{tokens} tokens")),
        (None, None) => None,
    };
    let reasons = match find(root, attribute::FINISH_REASONS) {
        Some(Value::Array(reasons)) => Some(reasons.to_string().replace(['[', ']', '"'], "")),
        _ => None,
    };
    tokens.into_iter().chain(reasons).collect()
}

fn phase_figures(child: &SpanData) -> Vec<String> {
    let evaluated = find(child, attribute::PREFILL_TOKENS);
    let generated = find(child, attribute::DECODE_TOKENS);
    let cached = find(child, attribute::PREFILL_CACHED_TOKENS)
        .map(|cached| format!(" + {cached} cached"))
        .unwrap_or_default();
    let tokens = evaluated
        .or(generated)
        .map(|tokens| format!("{tokens} tokens{cached}"));
    let rate = [attribute::PREFILL_RATE, attribute::DECODE_RATE]
        .into_iter()
        .find_map(|key| match find(child, key) {
            Some(Value::F64(rate)) => Some(format!("{rate:.1} tokens/s")),
            _ => None,
        });
    tokens.into_iter().chain(rate).collect()
}

fn identity(f: &mut fmt::Formatter<'_>, root: &SpanData) -> fmt::Result {
    let context = &root.span_context;
    write!(
        f,
        "   trace {}  span {}",
        context.trace_id(),
        context.span_id()
    )?;
    if root.parent_span_is_remote {
        write!(f, "  parent {}", root.parent_span_id)?;
    }
    writeln!(f)
}

/// The attributes, as many on a line as fit.
fn attributes(f: &mut fmt::Formatter<'_>, root: &SpanData) -> fmt::Result {
    let mut column = 0;
    for KeyValue { key, value, .. } in &root.attributes {
        let value = match value {
            Value::F64(number) => decimal(*number),
            other => other.to_string().replace(char::is_control, " "),
        };
        let short = cut(&value, LONGEST_VALUE);
        let mark = if short.len() < value.len() { "…" } else { "" };
        let item = format!("{key}={short}{mark}");
        let width = item.chars().count();
        if column > 0 && column + 2 + width > WIDTH {
            writeln!(f)?;
            column = 0;
        }
        let gap = if column == 0 { "   " } else { "  " };
        write!(f, "{gap}{item}")?;
        column += gap.len() + width;
    }
    if column > 0 {
        writeln!(f)?;
    }
    Ok(())
}

fn find<'a>(span: &'a SpanData, key: &str) -> Option<&'a Value> {
    span.attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == key)
        .map(|attribute| &attribute.value)
}
