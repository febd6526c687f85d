//! What files a repository has at one commit. A commit never changes, so a listing is kept.

use super::cache::{is_commit, is_inside};
use crate::ModelError;
use crate::name::{has_gguf_ending, is_sha256};
use crate::store::write_atomically;
use llamatelemetry_settings::Home;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The GGUF files of a repository at one commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing {
    /// The commit.
    pub(crate) commit: String,
    /// Whether the hub asks for an agreement before it gives the files.
    #[serde(default)]
    pub(crate) gated: bool,
    /// Its GGUF files, in the hub's order.
    pub(crate) files: Vec<RepoFile>,
}

/// One file of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RepoFile {
    /// Its path in the repository.
    pub(crate) path: String,
    /// Its size in bytes, if the hub says it.
    pub(crate) size: Option<u64>,
    /// The name of its object: for a large file its SHA-256, for a small one git's own hash.
    pub(crate) oid: Option<String>,
    /// Its SHA-256, if the hub says it.
    pub(crate) sha256: Option<String>,
}

/// `api/models/REPO/revision/REVISION?blobs=true`.
#[derive(Deserialize)]
struct RevisionReply {
    sha: String,
    #[serde(default)]
    gated: serde_json::Value,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

/// `api/models/REPO/tree/REVISION?recursive=true`: one entry.
#[derive(Deserialize)]
struct TreeEntry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    size: Option<u64>,
    oid: Option<String>,
    lfs: Option<Lfs>,
}

/// A large file's object: one interface names its digest `sha256`, another `oid`, a mirror both.
#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
    oid: Option<String>,
    size: Option<u64>,
}

impl Listing {
    /// Reads the hub's answer about a revision.
    pub(crate) fn from_revision(body: &[u8]) -> Result<Self, String> {
        let reply: RevisionReply =
            serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if !is_commit(&reply.sha) {
            return Err(format!("{:?} is not a commit", reply.sha));
        }
        let gated = match &reply.gated {
            serde_json::Value::Bool(gated) => *gated,
            serde_json::Value::String(how) => how != "false",
            _ => false,
        };
        let files = reply
            .siblings
            .into_iter()
            .filter_map(|file| RepoFile::new(file.rfilename, file.size, file.blob_id, file.lfs))
            .collect();
        Ok(Self {
            commit: reply.sha,
            gated,
            files,
        })
    }

    /// Whether the hub said of every file what it takes to fetch and verify it.
    pub(crate) fn is_complete(&self) -> bool {
        self.files.iter().all(|file| file.oid.is_some())
    }

    /// The paths of the files.
    pub(crate) fn paths(&self) -> Vec<&str> {
        self.files.iter().map(|file| file.path.as_str()).collect()
    }

    /// The file of this path.
    pub(crate) fn file(&self, path: &str) -> Option<&RepoFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The kept listing of a commit.
    pub(crate) fn recall(home: &Home, repo: &str, commit: &str) -> Option<Self> {
        let text = std::fs::read(kept(home, repo, commit)).ok()?;
        serde_json::from_slice(&text)
            .ok()
            .filter(|listing: &Self| listing.commit == commit)
    }

    /// Keeps the listing.
    pub(crate) fn keep(&self, home: &Home, repo: &str) -> Result<(), ModelError> {
        let path = kept(home, repo, &self.commit);
        let text = serde_json::to_vec(self)
            .map_err(|error| ModelError::io("write", &path, error.into()))?;
        write_atomically(&path, &text)
    }
}

impl RepoFile {
    fn new(path: String, size: Option<u64>, oid: Option<String>, lfs: Option<Lfs>) -> Option<Self> {
        if !has_gguf_ending(&path) || !is_inside(&path) {
            return None;
        }
        let sha256 = lfs
            .as_ref()
            .and_then(|lfs| lfs.sha256.as_deref().or(lfs.oid.as_deref()))
            .filter(|digest| is_sha256(digest))
            .map(str::to_ascii_lowercase);
        let oid = sha256
            .clone()
            .or_else(|| oid.filter(|oid| is_commit(oid) || is_sha256(oid)));
        Some(Self {
            path,
            size: lfs.and_then(|lfs| lfs.size).or(size),
            oid,
            sha256,
        })
    }
}

/// Reads the hub's answer about a tree: the GGUF files in it.
pub(crate) fn from_tree(body: &[u8]) -> Result<Vec<RepoFile>, String> {
    let entries: Vec<TreeEntry> =
        serde_json::from_slice(body).map_err(|error| error.to_string())?;
    Ok(entries
        .into_iter()
        .filter(|entry| entry.kind == "file")
        .filter_map(|entry| RepoFile::new(entry.path, entry.size, entry.oid, entry.lfs))
        .collect())
}

fn kept(home: &Home, repo: &str, commit: &str) -> PathBuf {
    home.cache()
        .join("hub")
        .join(repo.replace('/', "--"))
        .join(format!("{commit}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_revision_tells_files_digests_and_gates() {
        let digest = "a".repeat(64);
        let body = format!(
            r#"{{"sha":"{COMMIT}","gated":"manual","siblings":[
            {{"rfilename":"README.md","size":3,"blobId":"{COMMIT}"}},
            {{"rfilename":"m.gguf","size":9,"blobId":"{COMMIT}","lfs":{{"sha256":"{digest}","size":9,"pointerSize":1}}}},
            {{"rfilename":"../up.gguf"}}]}}"#
        );
        let listing = Listing::from_revision(body.as_bytes()).expect("a listing");
        assert!(listing.gated);
        assert_eq!(listing.paths(), ["m.gguf"]);
        assert_eq!(listing.files[0].oid.as_ref(), Some(&digest));
        assert!(listing.is_complete());
        assert!(Listing::from_revision(br#"{"sha":"main"}"#).is_err());
        assert!(Listing::from_revision(b"<html>").is_err());
    }

    #[test]
    fn a_tree_tells_the_same() {
        let digest = "b".repeat(64);
        let body = format!(
            r#"[{{"type":"directory","path":"d.gguf"}},
            {{"type":"file","path":"d/m.gguf","size":9,"oid":"{COMMIT}","lfs":{{"oid":"{digest}","sha256":"{digest}","size":9}}}},
            {{"type":"file","path":"s.gguf","size":1,"oid":"{COMMIT}"}}]"#
        );
        let files = from_tree(body.as_bytes()).expect("files");
        assert_eq!(files[0].sha256.as_ref(), Some(&digest));
        assert_eq!(
            (files[1].oid.as_deref(), &files[1].sha256),
            (Some(COMMIT), &None)
        );
    }
}
