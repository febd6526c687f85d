//! Spans as text.

use crate::content::cut;
use crate::names::attribute;
use crate::value::{self, Shown};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Where attribute lines break, characters.
const WIDTH: usize = 100;
/// Characters of one attribute's value at most.
const LONGEST_VALUE: usize = 240;
/// What stands before what is told of a tree.
const INDENT: &str = "   ";

/// How much is told of spans besides their names, times and figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Nothing more.
    Brief,
    /// The attributes of those that have no parent here.
    Roots,
    /// The attributes and events of all.
    All,
}

/// Spans as trees: each that has no parent among them first, what lies beneath it below. Written
/// as:
///
/// ```text
/// chat smollm2      812.3 ms  31 + 48 tokens  stop
/// ├─ queue            0.9 ms
/// ├─ prefill         64.7 ms  31 tokens + 0 cached  479.5 tokens/s
/// └─ decode         746.7 ms  48 tokens  63.0 tokens/s
///    trace 0af7651916cd43dd8448eb211c80319c  span b7ad6b7169203331
///    gen_ai.provider.name=llama_cpp …
/// ```
#[derive(Debug)]
pub struct SpanTree<'a> {
    spans: &'a [Span],
    detail: Detail,
}

/// A span in its place in the tree.
struct Line<'a> {
    span: &'a Span,
    /// What stands before its name.
    branch: String,
    /// What stands before what is told of it.
    below: String,
}

impl Line<'_> {
    fn width(&self) -> usize {
        self.branch.chars().count() + self.span.name.chars().count()
    }
}

impl<'a> SpanTree<'a> {
    /// Of these spans; those beneath one span are shown in the order in which they come here.
    pub fn new(spans: &'a [Span], detail: Detail) -> Self {
        Self { spans, detail }
    }

    /// The trees, each in lines.
    fn trees(&self) -> Vec<Vec<Line<'a>>> {
        let mut places = BTreeMap::new();
        for (place, span) in self.spans.iter().enumerate() {
            places.entry(&*span.span_id).or_insert(place);
        }
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); self.spans.len()];
        let mut roots = Vec::new();
        for (place, span) in self.spans.iter().enumerate() {
            match places.get(&*span.parent_span_id) {
                Some(parent) if *parent != place => children[*parent].push(place),
                _ => roots.push(place),
            }
        }
        // Spans that are each other's parents hang on nothing: what was not reached is a root too.
        roots.extend(0..self.spans.len());
        let mut reached = vec![false; self.spans.len()];
        let trees = roots.into_iter().map(|root| {
            let mut lines = Vec::new();
            let mut next = vec![(root, String::new(), String::new())];
            while let Some((place, branch, stem)) = next.pop() {
                if std::mem::replace(&mut reached[place], true) {
                    continue;
                }
                let beneath = &children[place];
                for (index, child) in beneath.iter().enumerate().rev() {
                    let (branch, more) = if index + 1 == beneath.len() {
                        ("└─ ", "   ")
                    } else {
                        ("├─ ", "│  ")
                    };
                    next.push((*child, format!("{stem}{branch}"), format!("{stem}{more}")));
                }
                let own = if beneath.is_empty() { "   " } else { "│  " };
                lines.push(Line {
                    span: &self.spans[place],
                    branch,
                    below: format!("{stem}{own}"),
                });
            }
            lines
        });
        trees.filter(|lines| !lines.is_empty()).collect()
    }
}

impl fmt::Display for SpanTree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for lines in self.trees() {
            let width = lines.iter().map(Line::width).max().unwrap_or_default();
            for (index, line) in lines.iter().enumerate() {
                let span = line.span;
                f.write_str(&line.branch)?;
                let left = width - line.branch.chars().count();
                name_and_figures(f, span, left, index == 0)?;
                if self.detail == Detail::All {
                    attributes(f, &line.below, &span.attributes)?;
                    events(f, &line.below, span)?;
                }
            }
            let Some(root) = lines.first().map(|line| line.span) else {
                continue;
            };
            if let Some((kind, message)) = failure(root) {
                writeln!(f, "{INDENT}failed{kind}: {message}")?;
            }
            identity(f, root)?;
            if self.detail == Detail::Roots {
                attributes(f, INDENT, &root.attributes)?;
            }
        }
        Ok(())
    }
}

/// The class of a failure, in brackets, and its message.
fn failure(span: &Span) -> Option<(String, String)> {
    let status = span.status.as_ref()?;
    let kind = find(span, attribute::ERROR_TYPE);
    let kind = kind.map(|kind| format!(" ({})", Shown(kind)));
    let message = status.message.replace(char::is_control, " ");
    (status.code() == StatusCode::Error).then(|| (kind.unwrap_or_default(), message))
}

fn name_and_figures(
    f: &mut fmt::Formatter<'_>,
    span: &Span,
    width: usize,
    is_root: bool,
) -> fmt::Result {
    let nanos = span
        .end_time_unix_nano
        .saturating_sub(span.start_time_unix_nano);
    let time = milliseconds(Duration::from_nanos(nanos));
    let name = span.name.replace(char::is_control, " ");
    write!(f, "{name:width$}  {time:>12}")?;
    let mut figures = match find(span, attribute::OPERATION) {
        Some(_) => request_figures(span),
        None => phase_figures(span),
    };
    // The root's failure is told below, with its message.
    let failed = failure(span).filter(|_| !is_root);
    figures.extend(failed.map(|(kind, _)| format!("failed{kind}")));
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
    let energy = match find(root, attribute::ENERGY) {
        Some(Value::DoubleValue(joules)) => Some(format!("{joules:.2} J")),
        _ => None,
    };
    tokens.into_iter().chain(reasons).chain(energy).collect()
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
        "{INDENT}trace {}  span {}",
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

/// What happened during a span, each with its time since the span's beginning.
fn events(f: &mut fmt::Formatter<'_>, indent: &str, span: &Span) -> fmt::Result {
    for event in &span.events {
        let since = event
            .time_unix_nano
            .saturating_sub(span.start_time_unix_nano);
        let time = milliseconds(Duration::from_nanos(since));
        let name = event.name.replace(char::is_control, " ");
        writeln!(f, "{indent}at {time}: {name}")?;
        attributes(f, &format!("{indent}   "), &event.attributes)?;
    }
    Ok(())
}

/// The attributes, as many on a line as fit.
fn attributes(f: &mut fmt::Formatter<'_>, indent: &str, all: &[KeyValue]) -> fmt::Result {
    let mut column = 0;
    for KeyValue { key, value, .. } in all {
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
        let gap = if column == 0 { indent } else { "  " };
        write!(f, "{gap}{item}")?;
        column += gap.chars().count() + width;
    }
    if column > 0 {
        writeln!(f)?;
    }
    Ok(())
}

fn find<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    value::find(&span.attributes, key)
}
