//! One request's spans as text.

use crate::content::cut;
use crate::names::attribute;
use crate::value::{self, Shown};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
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
pub(super) struct Tree<'a>(pub(super) &'a [Span]);

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
        if let Some(status) = &root.status
            && status.code() == StatusCode::Error
        {
            let kind = find(root, attribute::ERROR_TYPE);
            let kind = kind
                .map(|kind| format!(" ({})", Shown(kind)))
                .unwrap_or_default();
            writeln!(f, "   failed{kind}: {}", status.message)?;
        }
        identity(f, root)?;
        attributes(f, root)
    }
}

fn line(f: &mut fmt::Formatter<'_>, span: &Span, width: usize, figures: &[String]) -> fmt::Result {
    let nanos = span
        .end_time_unix_nano
        .saturating_sub(span.start_time_unix_nano);
    let time = milliseconds(Duration::from_nanos(nanos));
    write!(f, "{:width$}  {time:>12}", span.name)?;
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

fn request_figures(root: &Span) -> Vec<String> {
    let input = find(root, attribute::INPUT_TOKENS).map(Shown);
    let output = find(root, attribute::OUTPUT_TOKENS).map(Shown);
    let tokens = match (input, output) {
        (Some(input), Some(output)) => Some(format!("{input} + {output} tokens")),
        (Some(tokens), None) | (None, Some(tokens)) => Some(format!("{tokens} tokens")),
        (None, None) => None,
    };
    let reasons = match find(root, attribute::FINISH_REASONS) {
        Some(reasons @ Value::ArrayValue(_)) => {
            Some(Shown(reasons).to_string().replace(['[', ']', '"'], ""))
        }
        _ => None,
    };
    tokens.into_iter().chain(reasons).collect()
}

fn phase_figures(child: &Span) -> Vec<String> {
    let evaluated = find(child, attribute::PREFILL_TOKENS);
    let generated = find(child, attribute::DECODE_TOKENS);
    let cached = find(child, attribute::PREFILL_CACHED_TOKENS)
        .map(|cached| format!(" + {} cached", Shown(cached)))
        .unwrap_or_default();
    let tokens = evaluated
        .or(generated)
        .map(|tokens| format!("{} tokens{cached}", Shown(tokens)));
    let rate = [attribute::PREFILL_RATE, attribute::DECODE_RATE]
        .into_iter()
        .find_map(|key| match find(child, key) {
            Some(Value::DoubleValue(rate)) => Some(format!("{rate:.1} tokens/s")),
            _ => None,
        });
    tokens.into_iter().chain(rate).collect()
}

fn identity(f: &mut fmt::Formatter<'_>, root: &Span) -> fmt::Result {
    write!(
        f,
        "   trace {}  span {}",
        Hex(&root.trace_id),
        Hex(&root.span_id)
    )?;
    if !root.parent_span_id.is_empty() {
        write!(f, "  parent {}", Hex(&root.parent_span_id))?;
    }
    writeln!(f)
}

/// An id.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The attributes, as many on a line as fit.
fn attributes(f: &mut fmt::Formatter<'_>, root: &Span) -> fmt::Result {
    let mut column = 0;
    for KeyValue { key, value, .. } in &root.attributes {
        let value = match value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::DoubleValue(number)) => decimal(*number),
            Some(other) => Shown(other).to_string().replace(char::is_control, " "),
            None => continue,
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

fn find<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    value::find(&span.attributes, key)
}
