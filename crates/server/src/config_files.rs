//! Config files of llama.cpp that were read in spite of us.
//!
//! llama-server reads `/etc/llama.cpp/config.ini` and nothing turns that off. Flags on the command
//! line win over it, but it can set what we leave open. So where the log names such a file, what
//! the server runs is compared with what was asked for.

use crate::{LaunchSpec, probe};
use llamatelemetry_api::{Address, Props};
use llamatelemetry_settings::Secret;
use std::path::PathBuf;

/// Config files that the server read, and what they seem to have changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigFiles {
    /// The files, in the order in which they were applied.
    pub files: Vec<PathBuf>,
    /// What the server runs differently from what was asked for, one sentence each.
    pub differences: Vec<String>,
}

impl ConfigFiles {
    /// A warning for people; `None` if no file was read.
    pub fn warning(&self) -> Option<String> {
        let files: Vec<String> = self
            .files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        if files.is_empty() {
            return None;
        }
        let changes = if self.differences.is_empty() {
            "what was asked for is unchanged, what was left open may come from there".to_owned()
        } else {
            self.differences.join("; ")
        };
        Some(format!(
            "llama-server also read {}; {changes}",
            files.join(", ")
        ))
    }
}

/// Compares what runs with what was asked for.
pub(crate) fn compare(
    files: Vec<PathBuf>,
    spec: &LaunchSpec,
    address: &Address,
    key: Option<&Secret>,
) -> ConfigFiles {
    let differences = if files.is_empty() {
        Vec::new()
    } else {
        match probe::props(address, key) {
            Ok(props) => differences(spec, &props),
            Err(error) => vec![format!("what it changed cannot be told: {error}")],
        }
    };
    ConfigFiles { files, differences }
}

fn differences(spec: &LaunchSpec, props: &Props) -> Vec<String> {
    let mut found = Vec::new();
    let mut differs = |what: &str, asked: String, runs: String| {
        if asked != runs {
            found.push(format!("{what} is {runs}, not {asked}"));
        }
    };
    differs(
        "the model",
        spec.model.display().to_string(),
        props.model_path.clone(),
    );
    if let Some(parallel) = spec.options.parallel {
        differs(
            "the number of slots",
            parallel.to_string(),
            props.total_slots.to_string(),
        );
    }
    found
}
