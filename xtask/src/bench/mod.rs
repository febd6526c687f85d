//! Benchmarks beside their peers, measured in the same run.

use crate::project::Project;
use anyhow::{Result, bail};

/// Which benchmark, and in which form.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The benchmark: gguf, startup
    name: String,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(_project: &Project, arguments: &Arguments) -> Result<()> {
    bail!("there is no benchmark {}", arguments.name)
}
