//! The release interface's document, and the archives in it.

use crate::RuntimeError;
use llamatelemetry_fetch::{Fetcher, redacted};
use llamatelemetry_settings::Secret;
use serde::Deserialize;

/// A release's document lists some fifty archives in about 100 KB.
const LIMIT: u64 = 8 << 20;

/// A file of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asset {
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    pub(crate) url: String,
}

#[derive(Debug, Deserialize)]
struct Document {
    tag_name: String,
    assets: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    name: String,
    size: u64,
    digest: Option<String>,
    browser_download_url: String,
}

/// A release: its tag and files.
#[derive(Debug)]
pub(crate) struct ReleaseDocument {
    url: String,
    assets: Vec<Listed>,
}

impl ReleaseDocument {
    /// Fetches the document of the release with this tag. "Latest" is never asked for: it names
    /// a release without archives.
    pub(crate) fn fetch(fetcher: &Fetcher, url: &str, tag: &str) -> Result<Self, RuntimeError> {
        let headers = [
            ("accept", "application/vnd.github+json"),
            ("user-agent", "llamatelemetry"),
        ]
        .map(|(name, value)| (name.to_owned(), Secret::new(value)));
        let reply = fetcher.get(url, &headers, LIMIT)?;
        let odd = |reason: String| RuntimeError::Interface {
            reason,
            url: redacted(url),
        };
        match reply.status {
            404 => return Err(odd(format!("it knows no release {tag}"))),
            403 | 429 => {
                return Err(odd(
                    "it refuses further requests from this address for a while".to_owned(),
                ));
            }
            _ => {}
        }
        let reply = reply.success()?;
        let document: Document = serde_json::from_slice(&reply.body)
            .map_err(|error| odd(format!("its answer is no release document: {error}")))?;
        if document.tag_name != tag {
            return Err(odd(format!(
                "it answered with release {} where {tag} was asked for",
                document.tag_name
            )));
        }
        Ok(Self {
            url: redacted(url),
            assets: document.assets,
        })
    }

    /// The file of this name. One without a SHA-256 cannot be checked, so it is not used.
    pub(crate) fn asset(&self, name: &str) -> Result<Asset, RuntimeError> {
        let odd = |reason: String| RuntimeError::Interface {
            reason,
            url: self.url.clone(),
        };
        let listed = self
            .assets
            .iter()
            .find(|asset| asset.name == name)
            .ok_or_else(|| odd(format!("the release has no {name}")))?;
        let sha256 = listed
            .digest
            .as_deref()
            .and_then(|digest| digest.strip_prefix("sha256:"))
            .filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .ok_or_else(|| odd(format!("it tells no SHA-256 of {name}")))?;
        Ok(Asset {
            name: listed.name.clone(),
            size: listed.size,
            sha256: sha256.to_ascii_lowercase(),
            url: listed.browser_download_url.clone(),
        })
    }
}
