//! Benchmarks beside their peers, measured in the same run.
//!
//! Figures of ours and of a peer are paired by case and metric; where both give a digest of what
//! they made, the digests must be equal.

mod gateway;
mod gguf;
mod report;
mod startup;
mod store;

use crate::project::Project;
use anyhow::{Result, bail};
use report::Report;

/// Which benchmark, and in which form.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The benchmark: gateway, gguf, startup, store
    name: String,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
    /// Also what takes long: of store, questions to ten million spans
    #[arg(long)]
    long: bool,
}

/// Runs a benchmark and prints its report.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let rows = match arguments.name.as_str() {
        "gateway" => gateway::run(project)?,
        "gguf" => gguf::run(project)?,
        "startup" => startup::run(project)?,
        "store" => store::run(project, arguments.long)?,
        other => bail!("there is no benchmark {other}; there are gateway, gguf, startup and store"),
    };
    let report = Report::new(&arguments.name, rows);
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

/// One figure of one program; lower is better, but for rates (`…/s`).
#[derive(Debug, Clone, PartialEq)]
struct Measure {
    case: String,
    metric: String,
    unit: String,
    value: f64,
    /// Of what was made, where ours and the peer must make the same.
    digest: Option<String>,
}

/// The middle of several runs.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
