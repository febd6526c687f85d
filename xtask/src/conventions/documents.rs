//! The tables of `docs/conventions.md`.

use super::source::{Attribute, Source};
use crate::project::Project;
use anyhow::Result;

/// Our own attributes.
pub(crate) fn own_attributes(project: &Project) -> Result<String> {
    let source = Source::read(&project.root, "llamacpp")?;
    let rows = source.attributes.iter().map(|(name, attribute)| {
        format!(
            "| `{name}` | {} | {} | {} |",
            attribute.r#type,
            unit(&attribute.unit),
            meaning(attribute),
        )
    });
    Ok(table(
        "| attribute | type | unit | is |\n|---|---|---|---|",
        rows,
    ))
}

/// Our own spans.
pub(crate) fn own_spans(project: &Project) -> Result<String> {
    let source = Source::read(&project.root, "llamacpp")?;
    let rows = source.spans.values().map(|span| {
        format!(
            "| `{}` | {} | {} |",
            span.names.join("` · `"),
            span.kinds.join(" or ").to_uppercase(),
            span.definition,
        )
    });
    Ok(table("| span | kind | is |\n|---|---|---|", rows))
}

/// Which of the GenAI conventions' attributes each profile has.
pub(crate) fn profiles(project: &Project) -> Result<String> {
    let [old, core, latest] =
        ["v1_36", "v1_41", "latest"].map(|name| Source::read(&project.root, name));
    let (old, core, latest) = (old?, core?, latest?);
    let shown = |source: &Source, name: &str| {
        let here = source.renamed.get(name).map_or(name, String::as_str);
        match source.attributes.get(here) {
            Some(attribute) if here == name => attribute.r#type.clone(),
            Some(_) => format!("`{here}`"),
            None => format!("`llamacpp.{}`", name.trim_start_matches("gen_ai.")),
        }
    };
    let rows = latest
        .attributes
        .iter()
        .filter(|(name, attribute)| name.starts_with("gen_ai.") && attribute.deprecated.is_none())
        .filter(|(name, attribute)| {
            [&old, &core]
                .iter()
                .any(|source| shown(source, name) != attribute.r#type)
        })
        .map(|(name, attribute)| {
            format!(
                "| `{name}` | {} | {} | {} |",
                attribute.r#type,
                shown(&core, name),
                shown(&old, name),
            )
        });
    Ok(table(
        "| latest | its type | v1.41 | v1.36 |\n|---|---|---|---|",
        rows,
    ))
}

/// The metrics of each profile, and our own.
pub(crate) fn metrics(project: &Project) -> Result<String> {
    let mut rows = Vec::new();
    for name in ["latest", "v1_41", "v1_36", "llamacpp"] {
        let source = Source::read(&project.root, name)?;
        for (metric, facts) in &source.metrics {
            if facts.deprecated.is_none() {
                rows.push(format!(
                    "| `{metric}` | {} | {} | {} | {} |",
                    source.version,
                    facts.instrument,
                    unit(&facts.unit),
                    facts.definition,
                ));
            }
        }
    }
    Ok(table(
        "| metric | of | instrument | unit | is |\n|---|---|---|---|---|",
        rows.into_iter(),
    ))
}

fn unit(unit: &str) -> String {
    if unit.is_empty() {
        String::new()
    } else {
        format!("`{unit}`")
    }
}

fn meaning(attribute: &Attribute) -> String {
    if attribute.values.is_empty() {
        return attribute.definition.clone();
    }
    format!(
        "{}: `{}`",
        attribute.definition,
        attribute.values.join("`, `")
    )
}

fn table(head: &str, rows: impl Iterator<Item = String>) -> String {
    let rows: Vec<String> = rows.collect();
    format!("{head}\n{}", rows.join("\n"))
}
