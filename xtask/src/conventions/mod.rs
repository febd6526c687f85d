//! The tables of the conventions: from the data files to Rust and to the documentation.

mod documents;
mod oracle;
mod rust;
mod source;

use crate::project::Project;
use anyhow::Result;
use source::{Source, TABLES};

pub(crate) use oracle::compare;

pub(crate) use documents::{metrics, own_attributes, own_spans, profiles};

const TABLES_FOLDER: &str = "crates/telemetry/src/conventions/tables";

/// The generated files: path below the root, text.
pub(crate) fn files(project: &Project) -> Result<Vec<(String, String)>> {
    TABLES
        .iter()
        .map(|(file, table)| {
            let source = Source::read(&project.root, file)?;
            let text = rust::module(file, table, &source)?;
            Ok((format!("{TABLES_FOLDER}/{file}.rs"), text))
        })
        .collect()
}
