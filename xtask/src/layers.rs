//! The edges between crates, as ARCHITECTURE.md prints them and as Cargo sees them.
//!
//! A fenced block marked `layers` holds one line a crate, `crate -> what it depends on`. A block
//! marked `heavy` holds one line an outside crate, `outside -> who may depend on it`: nobody else
//! of the workspace may pull it in, neither directly nor through another outside crate. Dependencies for
//! tests and builds are not edges.

use crate::metadata::Metadata;
use crate::project::{Project, output};
use anyhow::{Context as _, Result, bail};
use std::collections::{BTreeMap, BTreeSet};

const DOCUMENT: &str = "ARCHITECTURE.md";

type Edges<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Compares the two; `Ok` holds a line for people.
pub(crate) fn check(project: &Project) -> Result<String> {
    let text = std::fs::read_to_string(project.root.join(DOCUMENT))
        .with_context(|| format!("cannot read {DOCUMENT}"))?;
    let printed = block(&text, "layers")?;
    let heavy = block(&text, "heavy")?;
    let metadata = Metadata::load(project)?;
    let members = metadata.members();
    let mut seen = Edges::new();
    for (name, package) in &members {
        let edges = package.dependencies.iter().filter(|edge| edge.is_edge());
        seen.insert(short(name), edges.map(|edge| short(&edge.name)).collect());
    }
    let mut faults = compare(&printed, &seen);
    for name in seen.keys() {
        let cell = format!("`{name}`");
        if !text
            .lines()
            .any(|line| line.starts_with('|') && line.contains(&cell))
        {
            faults.push(format!("{name}: has no row in the table of crates"));
        }
    }
    for (name, package) in &members {
        for outside in metadata.external_closure(package) {
            if heavy
                .get(outside)
                .is_some_and(|allowed| !allowed.contains(short(name)))
            {
                faults.push(format!("{}: must not pull in {outside}", short(name)));
            }
        }
    }
    if !faults.is_empty() {
        bail!(
            "the code and {DOCUMENT} do not agree:\n  {}\nchange the dependency, or the document with the reason",
            faults.join("\n  ")
        );
    }
    Ok(format!(
        "{} crates, {} edges, {} heavy dependencies held: as {DOCUMENT} prints them",
        seen.len(),
        seen.values().map(BTreeSet::len).sum::<usize>(),
        heavy.len()
    ))
}

/// That the facade without its optional parts pulls in nothing heavy; `Ok` holds a line for people.
pub(crate) fn check_bare(project: &Project) -> Result<String> {
    let text = std::fs::read_to_string(project.root.join(DOCUMENT))
        .with_context(|| format!("cannot read {DOCUMENT}"))?;
    let heavy = block(&text, "heavy")?;
    let tree = output(&mut project.cargo([
        "tree",
        "--package",
        "llamatelemetry",
        "--no-default-features",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    let tree = String::from_utf8(tree)?;
    let names: BTreeSet<&str> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let pulled: Vec<&str> = heavy
        .keys()
        .copied()
        .filter(|name| names.contains(name))
        .collect();
    if !pulled.is_empty() {
        bail!(
            "the facade pulls in {} without being asked to",
            pulled.join(", ")
        );
    }
    Ok(format!("{} crates, nothing heavy among them", names.len()))
}

/// The folder's name: `llamatelemetry-fetch` lies in `crates/fetch`.
fn short(package: &str) -> &str {
    package.strip_prefix("llamatelemetry-").unwrap_or(package)
}

fn compare(printed: &Edges<'_>, seen: &Edges<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, edges) in seen {
        let Some(allowed) = printed.get(name) else {
            faults.push(format!("{name}: is not printed"));
            continue;
        };
        for edge in edges.difference(allowed) {
            faults.push(format!("{name} -> {edge}: in the code, not printed"));
        }
        for edge in allowed.difference(edges) {
            faults.push(format!("{name} -> {edge}: printed, not in the code"));
        }
    }
    for name in printed.keys().filter(|name| !seen.contains_key(*name)) {
        faults.push(format!("{name}: printed, but there is no such crate"));
    }
    faults
}

/// The lines of the fenced block with this mark.
fn block<'a>(text: &'a str, mark: &str) -> Result<Edges<'a>> {
    let fence = format!("```{mark}");
    let mut lines = text.lines().skip_while(|line| line.trim() != fence);
    if lines.next().is_none() {
        bail!("{DOCUMENT} has no block that begins with {fence}");
    }
    let mut edges = Edges::new();
    for line in lines.take_while(|line| line.trim() != "```") {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (name, targets) = line.split_once("->").with_context(|| {
            format!("{DOCUMENT}: expected `name -> name, name`, found `{line}`")
        })?;
        let targets = targets.split(',').map(str::trim);
        let before = edges.insert(
            name.trim(),
            targets.filter(|target| !target.is_empty()).collect(),
        );
        if before.is_some() {
            bail!("{DOCUMENT}: {} is printed twice in {fence}", name.trim());
        }
    }
    Ok(edges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_block() {
        let text = "x\n```layers\na ->\nb -> a # why\n\n```\n```heavy\nsdk -> a\n```\n";
        let edges = block(text, "layers").expect("a block");
        assert_eq!(edges["a"], BTreeSet::new());
        assert_eq!(edges["b"], BTreeSet::from(["a"]));
        assert_eq!(edges.len(), 2);
        assert_eq!(
            block(text, "heavy").expect("a block")["sdk"],
            BTreeSet::from(["a"])
        );
        assert!(block(text, "other").is_err());
        assert!(block("```layers\na\n```", "layers").is_err());
        assert!(block("```layers\na ->\na ->\n```", "layers").is_err());
    }

    #[test]
    fn names_every_difference() {
        let printed = block("```layers\na -> b\nb ->\ngone ->\n```", "layers").expect("a block");
        let seen = Edges::from([
            ("a", BTreeSet::from(["c"])),
            ("b", BTreeSet::new()),
            ("c", BTreeSet::new()),
        ]);
        assert_eq!(
            compare(&printed, &seen),
            [
                "a -> c: in the code, not printed",
                "a -> b: printed, not in the code",
                "c: is not printed",
                "gone: printed, but there is no such crate",
            ]
        );
    }
}
