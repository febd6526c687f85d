//! Reading GGUF files, beside the Python package `gguf`.

use super::report::{Row, paired};
use super::{Better, Measure, measured, median};
use crate::project::{Project, output};
use crate::{python, testbed};
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The first has a vocabulary of 128k tokens, the second one of 262k.
const VOCABULARIES: &[&str] = &["ggml-vocab-llama-bpe.gguf", "ggml-vocab-gemma-4.gguf"];

/// How often the peer reads each file; ours repeats within its program.
const REPEATS: usize = 3;

/// What the peer says of one file.
#[derive(Debug, Deserialize)]
struct Peer {
    digest: String,
    decode_check_ms: f64,
}

pub(super) fn run(project: &Project) -> Result<Vec<Row>> {
    let python = python::prepare(project)?;
    let models = testbed::llama_source(project)?.join("models");
    let files: Vec<PathBuf> = VOCABULARIES.iter().map(|name| models.join(name)).collect();
    let mut ours = project.cargo(["run", "--release", "--quiet"]);
    ours.args(["--package", "llamatelemetry-gguf"]);
    ours.args(["--example", "gguf_bench", "--"]).args(&files);
    let ours = measured(&mut ours)?;
    let theirs = files
        .iter()
        .map(|file| peer(project, &python, file))
        .collect::<Result<Vec<_>>>()?;
    paired(ours, "gguf for Python", &theirs)
}

fn peer(project: &Project, python: &Path, file: &Path) -> Result<Measure> {
    let runs = (0..REPEATS)
        .map(|_| {
            let mut command = project.command(python);
            command.arg("crates/gguf/benches/peer_gguf.py").arg(file);
            let printed = output(&mut command)?;
            serde_json::from_slice::<Peer>(&printed).context("what the peer printed")
        })
        .collect::<Result<Vec<_>>>()?;
    let case = file.file_stem().unwrap_or_default().to_string_lossy();
    Ok(Measure {
        case: case.into_owned(),
        metric: "decode_check_ms".to_owned(),
        unit: "ms".to_owned(),
        value: median(runs.iter().map(|run| run.decode_check_ms).collect()),
        better: Better::Lower,
        digest: runs.first().map(|run| run.digest.clone()),
    })
}
