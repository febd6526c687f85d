//! A data file as a table in Rust. The text is not formatted: its module says so to rustfmt.

use super::source::{FOLDER, Requirements, Source};
use anyhow::{Result, bail};
use std::fmt::Write as _;

/// The module's text.
pub(super) fn module(file: &str, table: &str, source: &Source) -> Result<String> {
    let mut body = format!(
        "    version: {:?},\n    schema_url: {:?},\n    namespaces: &{:?},\n",
        source.version, source.schema_url, source.namespaces,
    );
    attributes(&mut body, source)?;
    spans(&mut body, source)?;
    events(&mut body, source)?;
    metrics(&mut body, source)?;
    list(&mut body, "renamed", |out| {
        for (latest, here) in &source.renamed {
            writeln!(out, "        ({latest:?}, {here:?}),")?;
        }
        Ok(())
    })?;
    let used: Vec<&str> = TYPES
        .iter()
        .filter(|name| body.contains(&format!("{name} {{")) || body.contains(&format!("{name}::")))
        .copied()
        .collect();
    Ok(format!(
        "//! Written by `cargo xtask generate` from `{FOLDER}/{file}.toml`.\n\n\
         use crate::conventions::registry::{{Registry, {}}};\n\n\
         /// `{}`.\n\
         pub(crate) static {table}: Registry = Registry {{\n{body}}};\n",
        used.join(", "),
        source.version,
    ))
}

/// What a table can be made of.
const TYPES: &[&str] = &[
    "Attribute",
    "Condition",
    "Event",
    "Instrument",
    "Metric",
    "Number",
    "Requirements",
    "SpanKind",
    "SpanType",
    "ValueKind",
];

fn list(
    out: &mut String,
    field: &str,
    write: impl FnOnce(&mut String) -> Result<()>,
) -> Result<()> {
    writeln!(out, "    {field}: &[")?;
    write(out)?;
    writeln!(out, "    ],")?;
    Ok(())
}

fn attributes(out: &mut String, source: &Source) -> Result<()> {
    list(out, "attributes", |out| {
        for (name, attribute) in &source.attributes {
            let (kind, template) = kind(&attribute.r#type)?;
            writeln!(
                out,
                "        Attribute {{ name: {name:?}, kind: ValueKind::{kind}, template: {template}, \
                 unit: {:?}, values: &{:?}, closed: {}, deprecated: {}, definition: {:?} }},",
                attribute.unit,
                attribute.values,
                attribute.closed,
                deprecated(attribute.deprecated.as_ref()),
                attribute.definition,
            )?;
        }
        Ok(())
    })
}

fn spans(out: &mut String, source: &Source) -> Result<()> {
    list(out, "spans", |out| {
        for (id, span) in &source.spans {
            let kinds = span
                .kinds
                .iter()
                .map(|kind| match kind.as_str() {
                    "client" => Ok("SpanKind::Client"),
                    "internal" => Ok("SpanKind::Internal"),
                    other => bail!("{id}: no kind of span is called {other}"),
                })
                .collect::<Result<Vec<_>>>()?;
            writeln!(
                out,
                "        SpanType {{ id: {id:?}, operations: &{:?}, kinds: &[{}], names: &{:?}, \
                 definition: {:?}, requirements: {} }},",
                span.operations,
                kinds.join(", "),
                span.names,
                span.definition,
                requirements(&span.requirements),
            )?;
        }
        Ok(())
    })
}

fn events(out: &mut String, source: &Source) -> Result<()> {
    list(out, "events", |out| {
        for (name, event) in &source.events {
            writeln!(
                out,
                "        Event {{ name: {name:?}, severity: {:?}, definition: {:?}, \
                 requirements: {} }},",
                event.severity,
                event.definition,
                requirements(source.of_event(event)),
            )?;
        }
        Ok(())
    })
}

fn metrics(out: &mut String, source: &Source) -> Result<()> {
    list(out, "metrics", |out| {
        for (name, metric) in &source.metrics {
            let instrument = match metric.instrument.as_str() {
                "counter" => "Counter",
                "updowncounter" => "UpDownCounter",
                "gauge" => "Gauge",
                "histogram" => "Histogram",
                other => bail!("{name}: no instrument is called {other}"),
            };
            let number = match metric.number.as_deref() {
                Some("int") => "Some(Number::Int)",
                Some("double") => "Some(Number::Double)",
                None => "None",
                Some(other) => bail!("{name}: no number is called {other}"),
            };
            let bounds = metric
                .bounds
                .as_ref()
                .and_then(|bounds| source.bounds.get(bounds));
            let bounds: Vec<String> = bounds
                .into_iter()
                .flatten()
                .map(|bound| grouped(*bound))
                .collect();
            writeln!(
                out,
                "        Metric {{ name: {name:?}, instrument: Instrument::{instrument}, unit: {:?}, \
                 number: {number}, bounds: &[{}], deprecated: {}, definition: {:?}, \
                 requirements: {} }},",
                metric.unit,
                bounds.join(", "),
                deprecated(metric.deprecated.as_ref()),
                metric.definition,
                requirements(source.of_metric(metric)),
            )?;
        }
        Ok(())
    })
}

fn kind(text: &str) -> Result<(&'static str, bool)> {
    let (text, template) = match text
        .strip_prefix("template[")
        .and_then(|inner| inner.strip_suffix(']'))
    {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let kind = match text {
        "string" => "Text",
        "int" => "Int",
        "double" => "Double",
        "boolean" => "Boolean",
        "string[]" => "Texts",
        "any" => "Any",
        other => bail!("no type is called {other}"),
    };
    Ok((kind, template))
}

fn deprecated(successors: Option<&Vec<String>>) -> String {
    successors.map_or_else(|| "None".into(), |names| format!("Some(&{names:?})"))
}

fn requirements(all: &Requirements) -> String {
    let conditional: Vec<String> = all
        .conditional
        .iter()
        .map(|(name, condition)| {
            let condition = match condition.as_str() {
                "" => "NotShown".into(),
                "error" => "Failed".into(),
                "streaming" => "Streamed".into(),
                "name" => "InSpanName".into(),
                "client" => "OnClient".into(),
                other => format!("With({other:?})"),
            };
            format!("({name:?}, Condition::{condition})")
        })
        .collect();
    format!(
        "Requirements {{ required: &{:?}, conditional: &[{}], recommended: &{:?}, opt_in: &{:?} }}",
        all.required,
        conditional.join(", "),
        all.recommended,
        all.opt_in,
    )
}

/// A number as Rust reads it, its digits in groups of three.
fn grouped(number: f64) -> String {
    let text = format!("{number:?}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, "0"));
    let mut groups = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            groups.push('_');
        }
        groups.push(digit);
    }
    format!("{groups}.{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_are_grouped() {
        assert_eq!(grouped(0.01), "0.01");
        assert_eq!(grouped(7200.0), "7_200.0");
        assert_eq!(grouped(67_108_864.0), "67_108_864.0");
    }

    #[test]
    fn types_and_templates() {
        assert_eq!(kind("string[]").expect("known"), ("Texts", false));
        assert_eq!(kind("template[string]").expect("known"), ("Text", true));
        assert!(kind("float").is_err());
    }
}
