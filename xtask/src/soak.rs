//! Runs that take long; their results are committed under `docs/measured/`.

use crate::project::{Project, output, run as finish};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// Which run, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The run: store
    name: String,
    /// How long, in seconds
    #[arg(long, default_value_t = 600)]
    seconds: u32,
}

/// Runs it; what was measured is written beside the other results, with the commit.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    if arguments.name != "store" {
        bail!("there is no long run {}; there is store", arguments.name);
    }
    let report = project.root.join("docs/measured/store-soak.json");
    let scratch = project.target.join("store-soak.json");
    let test = "soak::two_writers_and_a_reader_agree_for_a_while";
    let mut command = project.cargo(["test", "--release", "--package", "llamatelemetry-store"]);
    command
        .args(["--test", "it", "--", test, "--exact"])
        .env("STORE_SOAK_SECONDS", arguments.seconds.to_string())
        .env("STORE_SOAK_REPORT", &scratch);
    finish(&mut command)?;
    let mut measured: Value = serde_json::from_slice(&std::fs::read(&scratch)?)?;
    let commit = output(project.command("git").args(["rev-parse", "HEAD"]))?;
    let command = format!("cargo xtask soak store --seconds {}", arguments.seconds);
    let fields = measured.as_object_mut().context("an object was written")?;
    fields.insert("command".to_owned(), command.into());
    fields.insert(
        "commit".to_owned(),
        String::from_utf8(commit)?.trim().into(),
    );
    let document = serde_json::to_string_pretty(&measured)? + "\n";
    std::fs::write(&report, &document)?;
    print!("{document}");
    Ok(())
}
