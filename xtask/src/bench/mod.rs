//! Benchmarks beside their peers, measured in the same run.
//!
//! Ours and each peer are programs that print one JSON object a line: [`Measure`]. They are paired
//! by case and metric; where both give a digest of what they made, the digests must be equal.

mod gguf;
mod report;
mod startup;

use crate::project::{Project, output};
use anyhow::{Context as _, Result, bail};
use report::Report;
use serde::Deserialize;
use std::process::Command;

/// Which benchmark, and in which form.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The benchmark: gguf, startup
    name: String,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// Runs a benchmark and prints its report.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let rows = match arguments.name.as_str() {
        "gguf" => gguf::run(project)?,
        "startup" => startup::run(project)?,
        other => bail!("there is no benchmark {other}; there are gguf and startup"),
    };
    let report = Report::new(&arguments.name, rows);
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

/// What a measuring program prints, one a line.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Measure {
    case: String,
    metric: String,
    unit: String,
    value: f64,
    #[serde(default)]
    better: Better,
    /// Of what was made, where ours and the peer must make the same.
    #[serde(default)]
    digest: Option<String>,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Better {
    #[default]
    Lower,
    Higher,
}

/// Runs a measuring program.
fn measured(command: &mut Command) -> Result<Vec<Measure>> {
    let printed = String::from_utf8(output(command)?)?;
    printed
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("not a measure: {line}")))
        .collect()
}

/// The middle of several runs.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
