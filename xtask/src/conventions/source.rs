//! The data files: what they hold.

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The data files without their ending, and the names of their tables in Rust.
pub(crate) const TABLES: &[(&str, &str)] = &[
    ("core", "CORE"),
    ("latest", "LATEST"),
    ("llamacpp", "LLAMACPP"),
    ("openinference", "OPENINFERENCE"),
    ("v1_36", "V1_36"),
    ("v1_41", "V1_41"),
];

/// Where the data files lie.
pub(crate) const FOLDER: &str = "crates/telemetry/conventions";

/// One data file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Source {
    pub(crate) version: String,
    pub(crate) schema_url: String,
    pub(crate) namespaces: Vec<String>,
    /// The Python package that says the same, with its version, if there is one.
    pub(crate) oracle: Option<String>,
    #[serde(default)]
    pub(crate) attributes: BTreeMap<String, Attribute>,
    #[serde(default)]
    pub(crate) renamed: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) spans: BTreeMap<String, Span>,
    #[serde(default)]
    pub(crate) events: BTreeMap<String, Event>,
    #[serde(default)]
    pub(crate) bounds: BTreeMap<String, Vec<f64>>,
    #[serde(default)]
    pub(crate) groups: BTreeMap<String, Requirements>,
    #[serde(default)]
    pub(crate) metrics: BTreeMap<String, Metric>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attribute {
    pub(crate) r#type: String,
    #[serde(default)]
    pub(crate) unit: String,
    #[serde(default)]
    pub(crate) values: Vec<String>,
    #[serde(default)]
    pub(crate) closed: bool,
    pub(crate) deprecated: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) definition: String,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requirements {
    #[serde(default)]
    pub(crate) required: Vec<String>,
    #[serde(default)]
    pub(crate) conditional: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) recommended: Vec<String>,
    #[serde(default)]
    pub(crate) opt_in: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Span {
    #[serde(default)]
    pub(crate) operations: Vec<String>,
    pub(crate) kinds: Vec<String>,
    pub(crate) names: Vec<String>,
    #[serde(default)]
    pub(crate) definition: String,
    #[serde(flatten)]
    pub(crate) requirements: Requirements,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Event {
    pub(crate) severity: Option<i32>,
    /// The type of span whose attributes it carries.
    pub(crate) of_span: Option<String>,
    #[serde(default)]
    pub(crate) definition: String,
    #[serde(flatten)]
    pub(crate) requirements: Requirements,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Metric {
    pub(crate) instrument: String,
    pub(crate) unit: String,
    pub(crate) number: Option<String>,
    pub(crate) bounds: Option<String>,
    /// The group whose requirements it has instead of its own.
    pub(crate) group: Option<String>,
    pub(crate) deprecated: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) definition: String,
    #[serde(flatten)]
    pub(crate) requirements: Requirements,
}

impl Source {
    /// Reads one file and checks that what it refers to is there.
    pub(crate) fn read(root: &Path, name: &str) -> Result<Self> {
        let path = root.join(FOLDER).join(format!("{name}.toml"));
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let source: Self =
            toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        for (name, metric) in &source.metrics {
            if let Some(group) = &metric.group
                && !source.groups.contains_key(group)
            {
                bail!("{name}: there is no group {group}");
            }
            if let Some(bounds) = &metric.bounds
                && !source.bounds.contains_key(bounds)
            {
                bail!("{name}: there are no bounds {bounds}");
            }
        }
        Ok(source)
    }

    /// What the points of a metric have to carry.
    pub(crate) fn of_metric<'a>(&'a self, metric: &'a Metric) -> &'a Requirements {
        metric
            .group
            .as_ref()
            .and_then(|group| self.groups.get(group))
            .unwrap_or(&metric.requirements)
    }

    /// What an event has to carry.
    pub(crate) fn of_event<'a>(&'a self, event: &'a Event) -> &'a Requirements {
        event
            .of_span
            .as_ref()
            .and_then(|span| self.spans.get(span))
            .map_or(&event.requirements, |span| &span.requirements)
    }
}
