//! What pip says it would install.

use super::PipPackage;
use crate::FetchError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The form that pip documents for `--report`.
#[derive(Deserialize)]
struct Report {
    install: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    download_info: DownloadInfo,
}

#[derive(Deserialize)]
struct DownloadInfo {
    #[serde(default)]
    archive_info: ArchiveInfo,
}

#[derive(Default, Deserialize)]
struct ArchiveInfo {
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// The SHA-256 that a report names for its one file.
pub(super) fn digest(package: &PipPackage, file: &Path) -> Result<String, FetchError> {
    let failed = |reason: String| FetchError::Pip {
        package: package.to_string(),
        reason,
        output: Vec::new(),
    };
    let text = std::fs::read(file).map_err(|source| FetchError::io("read", file, source))?;
    let report: Report =
        serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
    report
        .install
        .iter()
        .find_map(|item| item.download_info.archive_info.hashes.get("sha256"))
        .filter(|digest| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(|digest| digest.to_ascii_lowercase())
        .ok_or_else(|| failed("the registry names no SHA-256 for it".to_owned()))
}
