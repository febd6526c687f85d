//! The views in words, for `docs/sql.md` and for people at a terminal.

use super::{Column, Kind, Narrows, VIEWS};
use std::fmt::Write as _;

/// Every view and column as Markdown, as it stands in `docs/sql.md`.
pub fn markdown() -> String {
    let mut text = String::new();
    for view in VIEWS {
        // Writing to a string cannot fail.
        writeln!(text, "### {}\n\n{}\n", view.name, view.about).ok();
        text.push_str("| column | type | finds | what it is |\n|---|---|---|---|\n");
        for column in view.columns {
            let kind = match column.kind {
                Kind::Any => "any",
                kind => kind.declared(),
            };
            let (name, finds, about) = (column.name, finds(column), column.about);
            writeln!(text, "| `{name}` | {kind} | {finds} | {about} |").ok();
        }
        text.push('\n');
    }
    text
}

/// With which comparisons a column spares the store reading everything.
fn finds(column: &Column) -> &'static str {
    match column.narrows {
        Narrows::Nothing => "",
        Narrows::Time => "`=` `<` `>`, order",
        Narrows::Duration => "`=` `<` `>`",
        Narrows::Severity => "`=` `>`",
        Narrows::Value => "`=`, with `key`",
        Narrows::Trace
        | Narrows::Span
        | Narrows::Name
        | Narrows::Service
        | Narrows::Status
        | Narrows::Attribute(_)
        | Narrows::Number(_)
        | Narrows::Key => "`=`",
    }
}
