//! Reading GGUF files, beside the Python package `gguf`.
//!
//! Both decode and check every string and tensor of the same files; both take the same digest of
//! what they decoded, outside of the time that counts.

use super::report::{Row, paired};
use super::{Measure, median};
use crate::project::{Project, output, run as finish};
use crate::{python, testbed};
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Vocabularies of 128k and of 262k tokens, from llama.cpp's source tree.
const VOCABULARIES: &[&str] = &["ggml-vocab-llama-bpe.gguf", "ggml-vocab-gemma-4.gguf"];

/// How often the peer reads each file; ours repeats within its program.
const REPEATS: usize = 3;

/// What either says of one file.
#[derive(Debug, Deserialize)]
struct Read {
    digest: String,
    decode_check_ms: f64,
    /// Ours alone: the peer has no way to open a file without reading it.
    lazy_open_ms: Option<f64>,
}

pub(super) fn run(project: &Project) -> Result<Vec<Row>> {
    let python = python::prepare(project)?;
    let example = [
        "--package",
        "llamatelemetry-gguf",
        "--example",
        "gguf_bench",
    ];
    finish(project.cargo(["build", "--release"]).args(example))?;
    let program = project.target.join("release/examples/gguf_bench");
    let mut rows = Vec::new();
    for file in files(project, &program)? {
        let case = file.file_stem().unwrap_or_default().to_string_lossy();
        let ours = read(project.command(&program).arg(&file))?;
        let theirs = peer(project, &python, &file)?;
        let mut measures = vec![measure(&case, "decode_check_ms", ours.decode_check_ms)];
        measures[0].digest = Some(ours.digest);
        measures.extend(
            ours.lazy_open_ms
                .map(|open| measure(&case, "lazy_open_ms", open)),
        );
        rows.extend(paired(
            measures,
            "gguf for Python",
            &[Measure {
                digest: Some(theirs.digest),
                ..measure(&case, "decode_check_ms", theirs.decode_check_ms)
            }],
        )?);
    }
    Ok(rows)
}

/// The vocabularies, and a file as large in metadata as models of today are.
fn files(project: &Project, program: &Path) -> Result<Vec<PathBuf>> {
    let generated = project.testbed().join("generated-128k.gguf");
    finish(project.command(program).arg("--generate").arg(&generated))?;
    let models = testbed::llama_source(project)?.join("models");
    Ok(VOCABULARIES
        .iter()
        .map(|name| models.join(name))
        .chain([generated])
        .collect())
}

fn peer(project: &Project, python: &Path, file: &Path) -> Result<Read> {
    let runs = (0..REPEATS)
        .map(|_| {
            read(
                project
                    .command(python)
                    .arg("crates/gguf/benches/peer_gguf.py")
                    .arg(file),
            )
        })
        .collect::<Result<Vec<_>>>()?;
    let middle = median(runs.iter().map(|run| run.decode_check_ms).collect());
    let first = runs.into_iter().next().context("the peer ran")?;
    Ok(Read {
        decode_check_ms: middle,
        ..first
    })
}

fn read(command: &mut Command) -> Result<Read> {
    serde_json::from_slice(&output(command)?)
        .with_context(|| format!("what was printed by {}", crate::project::shown(command)))
}

fn measure(case: &str, metric: &str, value: f64) -> Measure {
    Measure {
        case: case.to_owned(),
        metric: metric.to_owned(),
        unit: "ms".to_owned(),
        value,
        digest: None,
    }
}
