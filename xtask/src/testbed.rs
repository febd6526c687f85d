//! What the testbed's programs make: a runtime, a model, llama.cpp's source tree.

use crate::project::{Project, output, run};
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::path::PathBuf;
use std::process::Command;

/// Where the testbed's program put things; it writes this as JSON.
#[derive(Debug, Deserialize)]
pub(crate) struct Prepared {
    pub(crate) llama_server: PathBuf,
    pub(crate) llama_source: PathBuf,
    pub(crate) model: PathBuf,
}

impl Prepared {
    /// Compiles the program that makes everything and returns the command that runs it.
    pub(crate) fn command(project: &Project) -> Result<Command> {
        let build = ["build", "--package", "llamatelemetry-testbed", "--bins"];
        run(project.cargo(build).args(["--features", "prepared"]))?;
        let mut command = project.command(project.target.join("debug/testbed-prepare"));
        command.arg(Self::file(project)).env("RUST_BACKTRACE", "0");
        Ok(command)
    }

    /// Reads what that command has left.
    pub(crate) fn read(project: &Project) -> Result<Self> {
        let json = std::fs::read(Self::file(project)).context("nothing was prepared")?;
        serde_json::from_slice(&json).context("what the testbed prepared")
    }

    fn file(project: &Project) -> PathBuf {
        project.testbed().join("prepared.json")
    }
}

/// llama.cpp's source tree alone, unpacked if it is not there.
pub(crate) fn llama_source(project: &Project) -> Result<PathBuf> {
    let path = output(&mut project.cargo([
        "run",
        "--quiet",
        "--package",
        "llamatelemetry-testbed",
        "--bin",
        "testbed-source",
    ]))?;
    Ok(PathBuf::from(String::from_utf8(path)?.trim()))
}
