//! Fuzz targets.

use crate::project::Project;
use anyhow::{Result, bail};
use std::process::Stdio;

/// Which target, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The target, as its file in `fuzz/fuzz_targets` is called
    name: String,
    /// How long, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Runs `cargo fuzz` on the stable compiler: instrumentation is allowed for this one command.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let file = project
        .root
        .join("fuzz/fuzz_targets")
        .join(format!("{}.rs", arguments.name));
    if !file.is_file() {
        bail!("there is no fuzz target {}", file.display());
    }
    let installed = project
        .cargo(["fuzz", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !installed {
        bail!("cargo fuzz is not installed: `cargo install cargo-fuzz --locked` brings it");
    }
    crate::project::run(
        project
            .cargo(["fuzz", "run", &arguments.name, "--"])
            .arg(format!("-max_total_time={}", arguments.seconds))
            .env("RUSTC_BOOTSTRAP", "1"),
    )
}
