//! `docs/sql.md` says what the views are, and its examples run.

use crate::sample::{rows, stored};
use llamatelemetry_tables::{Kind, VIEWS, markdown};

const DOCUMENT: &str = include_str!("../../../../docs/sql.md");

fn between<'a>(from: &str, to: &str) -> &'a str {
    let (_, rest) = DOCUMENT.split_once(from).unwrap();
    rest.split_once(to).map_or(rest, |(part, _)| part)
}

#[test]
fn the_document_has_every_view_and_column() {
    let written = between("<!-- views -->", "<!-- end of views -->");
    assert!(
        written.trim() == markdown().trim(),
        "docs/sql.md is old; below `<!-- views -->` belongs what \
         `cargo run -p llamatelemetry-tables --example views` prints"
    );
}

#[test]
fn the_examples_run() {
    let (_folder, snapshot) = stored();
    let examples = between("<!-- examples -->", "<!-- end -->");
    let mut count = 0;
    for example in examples.split("```sql").skip(1) {
        let (sql, _) = example.split_once("```").unwrap();
        // Some are of the last day only, and find nothing.
        rows(&snapshot, sql);
        count += 1;
    }
    assert_eq!(count, 6);
}

#[test]
fn every_column_of_every_view_can_be_read() {
    let (_folder, snapshot) = stored();
    for view in VIEWS {
        let all = rows(&snapshot, &format!("SELECT * FROM {}", view.name));
        assert!(!all.is_empty(), "{}", view.name);
        let counted = rows(&snapshot, &format!("SELECT count(*) FROM {}", view.name));
        assert_eq!(counted, [all.len().to_string()], "{}", view.name);
        for column in view.columns {
            let (name, column_name) = (view.name, column.name);
            let kinds = rows(
                &snapshot,
                &format!("SELECT DISTINCT typeof({column_name}) FROM {name}"),
            );
            let fits = |kind: &str| match column.kind {
                Kind::Integer => ["integer", "null"].contains(&kind),
                Kind::Real => ["real", "null"].contains(&kind),
                Kind::Text | Kind::Json => ["text", "null"].contains(&kind),
                Kind::Any => true,
            };
            assert!(
                kinds.iter().all(|kind| fits(kind)),
                "{name}.{column_name}: {kinds:?}"
            );
        }
    }
}

/// Attributes have the names that telemetry gives them.
#[test]
fn attributes_are_those_of_the_conventions() {
    use llamatelemetry_telemetry::names::attribute;
    let (_folder, snapshot) = stored();
    for (column, key) in [
        ("operation", attribute::OPERATION),
        ("model", attribute::REQUEST_MODEL),
        ("input_tokens", attribute::INPUT_TOKENS),
        ("output_tokens", attribute::OUTPUT_TOKENS),
        ("finish_reasons", attribute::FINISH_REASONS),
        ("energy_joules", attribute::ENERGY),
    ] {
        let sql = format!(
            "SELECT count(*) FROM spans WHERE {column} IS attributes ->> '{key}' AND {column} IS NOT NULL"
        );
        assert_ne!(rows(&snapshot, &sql), ["0"], "{column}");
    }
    let sources = [
        include_str!("../../src/view/spans.rs"),
        include_str!("../../src/view/messages.rs"),
    ];
    for key in [
        attribute::OPERATION,
        attribute::REQUEST_MODEL,
        attribute::RESPONSE_MODEL,
        attribute::PROVIDER,
        attribute::CONVERSATION,
        attribute::INPUT_TOKENS,
        attribute::CACHED_TOKENS,
        attribute::OUTPUT_TOKENS,
        attribute::REASONING_TOKENS,
        attribute::TIME_TO_FIRST_CHUNK,
        attribute::QUEUE_DURATION,
        attribute::PREFILL_DURATION,
        attribute::DECODE_DURATION,
        attribute::FINISH_REASONS,
        attribute::ERROR_TYPE,
        attribute::ENERGY,
        attribute::SLOT,
        attribute::BUILD,
        attribute::MODEL_SHA256,
        attribute::TOOL_NAME,
        attribute::INPUT_MESSAGES,
        attribute::OUTPUT_MESSAGES,
        attribute::SYSTEM_INSTRUCTIONS,
    ] {
        let quoted = format!("\"{key}\"");
        assert!(
            sources.iter().any(|source| source.contains(&quoted)),
            "{key}"
        );
    }
}
