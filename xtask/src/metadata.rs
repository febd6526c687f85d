//! What Cargo sees.

use crate::project::{Project, output};
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// Platforms whose dependencies are looked at: the tested one and those that must compile.
const PLATFORMS: &[&str] = &[
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "aarch64-apple-darwin",
];

/// The part of `cargo metadata` that we use.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Option<String>,
    path: Option<String>,
}

impl Dependency {
    /// On a crate of the workspace, for use and not only for tests or builds.
    pub(crate) fn is_edge(&self) -> bool {
        self.path.is_some() && self.kind.is_none()
    }
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDependency>,
}

#[derive(Debug, Deserialize)]
struct NodeDependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

impl Metadata {
    /// Asks Cargo.
    pub(crate) fn load(project: &Project) -> Result<Self> {
        let mut arguments = vec!["metadata", "--format-version", "1", "--quiet"];
        for platform in PLATFORMS {
            arguments.extend(["--filter-platform", platform]);
        }
        let json = output(&mut project.cargo(arguments))?;
        serde_json::from_slice(&json).context("cargo metadata in a form that is not known")
    }

    /// The crates of the workspace, by package name.
    pub(crate) fn members(&self) -> BTreeMap<&str, &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
            .map(|package| (package.name.as_str(), package))
            .collect()
    }

    /// Every crate from outside that the workspace uses, tests included.
    pub(crate) fn externals(&self) -> impl Iterator<Item = &Package> {
        let used: BTreeSet<&str> = self
            .resolve
            .nodes
            .iter()
            .map(|node| node.id.as_str())
            .collect();
        self.packages.iter().filter(move |package| {
            used.contains(package.id.as_str()) && !self.workspace_members.contains(&package.id)
        })
    }

    /// Names of the outside crates that a workspace crate pulls in for use, other crates of the
    /// workspace left out.
    pub(crate) fn external_closure(&self, member: &Package) -> BTreeSet<&str> {
        let nodes: BTreeMap<&str, &Node> = self
            .resolve
            .nodes
            .iter()
            .map(|node| (node.id.as_str(), node))
            .collect();
        let names: BTreeMap<&str, &str> = self
            .packages
            .iter()
            .map(|package| (package.id.as_str(), package.name.as_str()))
            .collect();
        let mut seen = BTreeSet::new();
        let mut next = vec![member.id.as_str()];
        while let Some(id) = next.pop() {
            for dependency in nodes.get(id).into_iter().flat_map(|node| &node.deps) {
                let used = dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
                let inside = self.workspace_members.contains(&dependency.pkg);
                if used && !inside && seen.insert(dependency.pkg.as_str()) {
                    next.push(&dependency.pkg);
                }
            }
        }
        seen.into_iter()
            .filter_map(|id| names.get(id).copied())
            .collect()
    }
}
