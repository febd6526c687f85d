//! The catalogue: models that have a short name.

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// One model of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueEntry {
    /// Its name, as `llt run` takes it.
    pub name: String,
    /// Other names of it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Its full name.
    pub title: String,
    /// What it is good for, in a few words.
    pub good_for: String,
    /// The licence of its weights.
    pub licence: String,
    /// Its weights, counted.
    pub parameters: u64,
    /// How its weights are stored: `Q4_K_M`.
    pub quantization: String,
    /// Tokens of context that it was trained for.
    pub context: u32,
    /// Bytes of 16-bit key-value cache for one token.
    pub kv_bytes_per_token: u64,
    /// The file's name.
    pub file: String,
    /// The file's size in bytes.
    pub size: u64,
    /// Whether the size is exact, not the publisher's rounded figure.
    #[serde(default = "yes")]
    pub size_exact: bool,
    /// The file's SHA-256 in hexadecimal, if known.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Where it comes from.
    pub source: CatalogueSource,
}

/// Where a model of the catalogue comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CatalogueSource {
    /// A repository of the model hub.
    Hub(HubSource),
    /// Packages of the Python registry: one, or the chunks of one file in their order.
    Wheels(Vec<WheelSource>),
}

/// A file of a repository of the model hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubSource {
    /// `owner/repo`.
    pub repo: String,
    /// The file's path in it.
    pub file: String,
    /// The commit, if the entry is pinned to one.
    #[serde(default)]
    pub revision: Option<String>,
}

/// A file in a wheel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WheelSource {
    /// The package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The wheel's SHA-256 in hexadecimal.
    pub sha256: String,
    /// The file's path in the wheel.
    pub member: String,
}

#[derive(Default, Deserialize)]
struct Document {
    hub: String,
    model: Vec<CatalogueEntry>,
}

const fn yes() -> bool {
    true
}

// The document is part of the program; a test reads it without the default.
static DOCUMENT: LazyLock<Document> =
    LazyLock::new(|| toml::from_str(include_str!("../data/catalogue.toml")).unwrap_or_default());

/// All models of the catalogue.
pub fn catalogue() -> &'static [CatalogueEntry] {
    &DOCUMENT.model
}

/// The hub's address where the settings name no other.
pub(crate) fn default_hub() -> &'static str {
    &DOCUMENT.hub
}

impl CatalogueEntry {
    /// The model of this name or alias, in any case of letters.
    pub fn find(name: &str) -> Option<&'static Self> {
        catalogue()
            .iter()
            .find(|entry| entry.names().any(|known| known.eq_ignore_ascii_case(name)))
    }

    /// Its name and its other names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }
}

/// The models of the catalogue in which every word of the text occurs, in the catalogue's order.
/// An empty text finds all.
pub fn search(text: &str) -> Vec<&'static CatalogueEntry> {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    catalogue()
        .iter()
        .filter(|entry| {
            let told = [
                entry.title.as_str(),
                &entry.good_for,
                &entry.licence,
                &entry.quantization,
                &entry.file,
            ];
            let hay = entry
                .names()
                .chain(told)
                .collect::<Vec<_>>()
                .join("\n")
                .to_lowercase();
            words.iter().all(|word| hay.contains(word.as_str()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{has_gguf_ending, is_repo_id, is_sha256};
    use std::collections::BTreeSet;

    #[test]
    fn the_catalogue_reads_and_every_name_is_its_own() {
        let document: Document =
            toml::from_str(include_str!("../data/catalogue.toml")).expect("a good catalogue");
        assert_eq!(document.model.len(), catalogue().len());
        let mut names = BTreeSet::new();
        for entry in catalogue() {
            for name in entry.names() {
                assert!(names.insert(name.to_lowercase()), "{name} stands twice");
            }
            assert!(has_gguf_ending(&entry.file), "{}", entry.name);
            assert!(entry.size > 0 && entry.parameters > 0 && entry.context > 0);
            assert!(
                entry.sha256.as_deref().is_none_or(is_sha256),
                "{}",
                entry.name
            );
            match &entry.source {
                CatalogueSource::Hub(hub) => {
                    assert!(is_repo_id(&hub.repo), "{}", hub.repo);
                    assert!(hub.file.ends_with(&entry.file), "{}", hub.file);
                }
                CatalogueSource::Wheels(wheels) => {
                    assert!(!wheels.is_empty());
                    assert!(wheels.iter().all(|wheel| is_sha256(&wheel.sha256)));
                }
            }
        }
    }

    #[test]
    fn names_and_words_are_found_in_any_case() {
        assert_eq!(
            CatalogueEntry::find("SmolLM2-135M").map(|e| e.name.as_str()),
            Some("smollm2")
        );
        assert!(CatalogueEntry::find("smollm").is_none());
        let found: Vec<_> = search("GEMMA base")
            .iter()
            .map(|e| e.name.as_str())
            .collect();
        assert_eq!(found, ["gemma3-270m"]);
        assert_eq!(search("").len(), catalogue().len());
    }
}
