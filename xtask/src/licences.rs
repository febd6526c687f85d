//! Licences, sources, bans and duplicate versions of dependencies, by the rules of `deny.toml`.
//!
//! `cargo deny` reads the same file. Where it is not installed we check by ourselves from what
//! `cargo metadata` says, so that a fresh machine needs nothing more than Cargo.

use crate::metadata::{Metadata, Package};
use crate::project::{Project, run};
use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

#[derive(Debug, Deserialize)]
struct Rules {
    licenses: Licences,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licences {
    allow: BTreeSet<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: BTreeSet<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Bans {
    deny: Vec<Named>,
    skip: Vec<Named>,
}

#[derive(Debug, Deserialize)]
struct Named {
    /// `name` or `name@version`
    #[serde(rename = "crate")]
    name: String,
    #[serde(default)]
    reason: String,
}

/// Checks; `Ok` holds a line for people.
pub(crate) fn check(project: &Project) -> Result<String> {
    if has_cargo_deny(project) {
        run(&mut project.cargo(["deny", "check", "licenses", "bans", "sources"]))?;
        return Ok("checked by cargo deny".to_owned());
    }
    let rules =
        std::fs::read_to_string(project.root.join("deny.toml")).context("cannot read deny.toml")?;
    let rules: Rules = toml::from_str(&rules).context("deny.toml")?;
    let metadata = Metadata::load(project)?;
    let packages: Vec<&Package> = metadata.externals().collect();
    let mut faults = Vec::new();
    for package in &packages {
        faults.extend(rules.faults(package));
    }
    faults.extend(rules.duplicates(&packages));
    if !faults.is_empty() {
        bail!(
            "dependencies break the rules of deny.toml:\n  {}",
            faults.join("\n  ")
        );
    }
    Ok(format!(
        "{} dependencies within the rules of deny.toml (cargo deny is not installed: checked without it)",
        packages.len()
    ))
}

fn has_cargo_deny(project: &Project) -> bool {
    project
        .cargo(["deny", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

impl Rules {
    fn faults(&self, package: &Package) -> Vec<String> {
        let name = format!("{} {}", package.name, package.version);
        let mut faults = Vec::new();
        let exception = self
            .licenses
            .exceptions
            .iter()
            .find(|exception| exception.name == package.name);
        let allowed = |licence: &str| {
            self.licenses.allow.contains(licence)
                || exception.is_some_and(|exception| exception.allow.contains(licence))
        };
        match package.license.as_deref() {
            None => faults.push(format!("{name}: names no licence")),
            Some(expression) => match satisfied(expression, &allowed) {
                Some(true) => {}
                Some(false) => faults.push(format!("{name}: licence {expression} is not allowed")),
                None => faults.push(format!("{name}: licence {expression} cannot be read")),
            },
        }
        if package
            .source
            .as_deref()
            .is_some_and(|source| !source.starts_with("registry+"))
        {
            faults.push(format!("{name}: does not come from the registry"));
        }
        if let Some(ban) = self.bans.deny.iter().find(|ban| ban.matches(package)) {
            faults.push(format!("{name}: banned: {}", ban.reason));
        }
        faults
    }

    fn duplicates(&self, packages: &[&Package]) -> Vec<String> {
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in packages {
            if !self.bans.skip.iter().any(|skip| skip.matches(package)) {
                let versions = versions.entry(&package.name).or_default();
                versions.push(&package.version);
            }
        }
        versions
            .into_iter()
            .filter(|(_, versions)| versions.len() > 1)
            .map(|(name, versions)| {
                format!(
                    "{name}: in {} versions: {}",
                    versions.len(),
                    versions.join(", ")
                )
            })
            .collect()
    }
}

impl Named {
    fn matches(&self, package: &Package) -> bool {
        match self.name.split_once('@') {
            Some((name, version)) => package.name == name && package.version == version,
            None => package.name == self.name,
        }
    }
}

/// Whether a licence expression can be met with what is allowed. `None` if it is no expression.
///
/// `OR` binds weaker than `AND`; `/` is an old way to write `OR`; `X WITH Y` is a licence of its
/// own, allowed under that name or as `X`.
fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any(&mut words, allowed)?;
    words.next().is_none().then_some(met)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut met = all(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        met |= all(words, allowed)?;
    }
    Some(met)
}

fn all(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut met = one(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed)?;
    }
    Some(met)
}

fn one(words: &mut Words<'_>, allowed: &dyn Fn(&str) -> bool) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let met = any(words, allowed)?;
        return (words.next()? == ")").then_some(met);
    }
    if ["OR", "AND", "WITH", ")"].contains(&word) {
        return None;
    }
    if words.next_if_eq(&"WITH").is_some() {
        let exception = words.next()?;
        return Some(allowed(word) || allowed(&format!("{word} WITH {exception}")));
    }
    Some(allowed(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_mit_and_zlib(expression: &str) -> Option<bool> {
        satisfied(expression, &|licence| ["MIT", "Zlib"].contains(&licence))
    }

    #[test]
    fn reads_licence_expressions() {
        for (expression, expected) in [
            ("MIT", Some(true)),
            ("GPL-3.0", Some(false)),
            ("MIT OR Apache-2.0", Some(true)),
            ("Apache-2.0/MIT", Some(true)),
            ("MIT AND Apache-2.0", Some(false)),
            ("MIT AND Zlib", Some(true)),
            ("GPL-3.0 OR MIT AND Apache-2.0", Some(false)),
            ("(GPL-3.0 OR MIT) AND Zlib", Some(true)),
            ("MIT WITH LLVM-exception", Some(true)),
            ("", None),
            ("MIT OR", None),
            ("(MIT", None),
            ("MIT Zlib", None),
        ] {
            assert_eq!(with_mit_and_zlib(expression), expected, "{expression}");
        }
    }
}
