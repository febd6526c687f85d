//! The data file of hosts, versions and digests.

use crate::{Backend, RuntimeError};
use serde::Deserialize;

const DATA: &str = include_str!("../data/sources.toml");

/// Everything that `data/sources.toml` says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sources {
    pub(crate) build: PinnedBuild,
    pub(crate) package: Package,
    pub(crate) release: Release,
    pub(crate) tools: Vec<BuildTool>,
}

/// The build that this version of ours is made for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PinnedBuild {
    pub(crate) number: u32,
    pub(crate) commit: String,
}

/// A registry package by name, version and digest.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) sha256: String,
}

/// Where the release interface is, and what the archives need.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    /// Base address; a mirror replaces it.
    pub(crate) interface: String,
    /// Path of the release's document below the base address.
    pub(crate) path: String,
    pub(crate) archives: Vec<ArchiveRule>,
}

/// What one release archive needs of a machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArchiveRule {
    pub(crate) name: String,
    pub(crate) os: String,
    pub(crate) arch: String,
    pub(crate) backend: Backend,
    pub(crate) glibc: Option<(u32, u32)>,
    pub(crate) cuda: Option<(u32, u32)>,
    pub(crate) capability: Option<(u32, u32)>,
    #[serde(default)]
    pub(crate) sass: Vec<(u32, u32)>,
}

/// A build tool that a registry has as a wheel.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BuildTool {
    /// Package name.
    pub(crate) name: String,
    /// Program name.
    pub(crate) program: String,
    /// The oldest version that does.
    pub(crate) at_least: (u32, u32),
    /// The version to fetch.
    pub(crate) version: String,
    /// The digests of its wheels for the platforms we know.
    pub(crate) sha256: Vec<String>,
}

impl Sources {
    /// The data file that is built in.
    pub(crate) fn built_in() -> Result<Self, RuntimeError> {
        toml::from_str(DATA).map_err(|error| RuntimeError::Sources {
            reason: error.to_string(),
        })
    }

    /// The tool of this name.
    pub(crate) fn tool(&self, name: &str) -> Result<&BuildTool, RuntimeError> {
        self.tools
            .iter()
            .find(|tool| tool.name == name)
            .ok_or_else(|| RuntimeError::Sources {
                reason: format!("it has no tool {name}"),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_file_is_sound() {
        let sources = Sources::built_in().unwrap();
        let tag = format!("b{}", sources.build.number);
        assert!(sources.release.path.ends_with(&format!("/{tag}")));
        assert!(
            sources
                .package
                .version
                .starts_with(&sources.build.number.to_string())
        );
        let mut digests = vec![&sources.package.sha256];
        for name in ["cmake", "ninja"] {
            digests.extend(&sources.tool(name).unwrap().sha256);
        }
        for digest in digests {
            assert_eq!(digest.len(), 64);
            assert!(digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
        assert!(sources.tool("make").is_err());
    }
}
