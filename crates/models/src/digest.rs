//! The SHA-256 of whole models.

use crate::ModelError;
use llamatelemetry_fetch::HashMemory;
use llamatelemetry_progress::Progress;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::path::PathBuf;

/// The remembered digest of a model's files, if all are remembered.
pub(crate) fn recall(memory: &HashMemory, shards: &[PathBuf]) -> Option<String> {
    let digests: Option<Vec<String>> = shards.iter().map(|shard| memory.recall(shard)).collect();
    Some(of_digests(&digests?))
}

/// The digest of a model's files, computed where it is not remembered.
pub(crate) fn compute(
    memory: &HashMemory,
    shards: &[PathBuf],
    progress: &dyn Progress,
) -> Result<String, ModelError> {
    let digests: Result<Vec<String>, _> = shards
        .iter()
        .map(|shard| memory.sha256(shard, progress))
        .collect();
    Ok(of_digests(&digests?))
}

/// One file: its own digest. Several: the digest of their digests, each followed by a line feed.
pub(crate) fn of_digests(digests: &[String]) -> String {
    if let [one] = digests {
        return one.clone();
    }
    let mut hasher = Sha256::new();
    for digest in digests {
        hasher.update(digest.as_bytes());
        hasher.update(b"\n");
    }
    hex(&hasher.finalize())
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ok = write!(text, "{byte:02x}");
        text
    })
}
