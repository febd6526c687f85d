//! Runs that take long; their results are committed under `docs/measured/`.

use crate::project::{Project, output, run as finish};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::io::ErrorKind;
use std::path::Path;

/// One long run: a test that goes on for as long as a variable says.
struct Soak {
    name: &'static str,
    package: &'static str,
    test: &'static str,
    /// The variable that tells it how long to go on.
    seconds: &'static str,
    /// The variable that tells it where to write what it measured.
    report: &'static str,
}

const SOAKS: &[Soak] = &[
    Soak {
        name: "store",
        package: "llamatelemetry-store",
        test: "soak::two_writers_and_a_reader_agree_for_a_while",
        seconds: "STORE_SOAK_SECONDS",
        report: "STORE_SOAK_REPORT",
    },
    Soak {
        name: "chaos",
        package: "llamatelemetry-gateway",
        test: "chaos::every_request_ends_in_a_right_answer_or_a_clean_error",
        seconds: "LLAMATELEMETRY_TEST_SOAK_SECONDS",
        report: "LLAMATELEMETRY_TEST_SOAK_RESULT",
    },
];

/// Which run, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The run: store, chaos
    name: String,
    /// How long, in seconds
    #[arg(long, default_value_t = 600)]
    seconds: u32,
}

/// Runs it; what was measured is written beside the other results, with the commit.
pub(crate) fn run(project: &Project, arguments: &Arguments) -> Result<()> {
    let Some(soak) = SOAKS.iter().find(|soak| soak.name == arguments.name) else {
        let names: Vec<&str> = SOAKS.iter().map(|soak| soak.name).collect();
        bail!(
            "there is no long run {}; there is {}",
            arguments.name,
            names.join(", ")
        );
    };
    let name = soak.name;
    let file = format!("{name}-soak.json");
    let report = project.root.join("docs/measured").join(&file);
    let scratch = project.target.join(&file);
    let mut command = project.cargo(["test", "--release", "--package", soak.package]);
    command
        .args(["--test", "it", "--", soak.test, "--exact"])
        .env(soak.seconds, arguments.seconds.to_string())
        .env(soak.report, &scratch);
    let written = fresh(&scratch, || finish(&mut command))?;
    let mut measured: Value = serde_json::from_slice(&written)?;
    let commit = output(project.command("git").args(["rev-parse", "HEAD"]))?;
    let command = format!("cargo xtask soak {name} --seconds {}", arguments.seconds);
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

/// What a run writes into a file. What an earlier one left there goes first: a test that is not
/// there runs, writes nothing and succeeds.
fn fresh(scratch: &Path, run: impl FnOnce() -> Result<()>) -> Result<Vec<u8>> {
    match std::fs::remove_file(scratch) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    run()?;
    std::fs::read(scratch).context("the run wrote no result: is its test still of that name?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_run_wrote_is_no_result() {
        let name = format!("soak-of-tests-{}.json", std::process::id());
        let scratch = std::env::temp_dir().join(name);
        std::fs::write(&scratch, "stale").unwrap();
        assert!(fresh(&scratch, || Ok(())).is_err());
        let written = fresh(&scratch, || Ok(std::fs::write(&scratch, "new")?));
        std::fs::remove_file(&scratch).unwrap();
        assert_eq!(written.unwrap(), b"new");
    }
}
