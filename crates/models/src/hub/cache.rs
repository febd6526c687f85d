//! The cache of hub files, laid out as the hub's own tools and llama.cpp lay it out:
//! `models--OWNER--REPO/{blobs/OID, refs/NAME, snapshots/COMMIT/PATH → blobs}`.

use crate::ModelError;
use crate::files::is_model;
use crate::name::{has_gguf_ending, is_repo_id, is_sha256};
use crate::store::{unique_beside, write_atomically};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// The branch that is meant when none is named.
pub(crate) const MAIN: &str = "main";

/// The cache of one repository.
#[derive(Debug, Clone)]
pub(crate) struct RepoCache {
    folder: PathBuf,
}

impl RepoCache {
    /// The cache of a repository `owner/repo`; nothing is made.
    pub(crate) fn new(hub_cache: &Path, repo: &str) -> Self {
        Self {
            folder: hub_cache.join(format!("models--{}", repo.replace('/', "--"))),
        }
    }

    /// All repositories in the cache, sorted by name.
    pub(crate) fn all(hub_cache: &Path) -> Vec<(String, Self)> {
        let Ok(entries) = std::fs::read_dir(hub_cache) else {
            return Vec::new();
        };
        let mut found: Vec<(String, Self)> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().into_string().ok()?;
                let repo = name.strip_prefix("models--")?.replace("--", "/");
                let folder = entry.path();
                (is_repo_id(&repo) && folder.join("snapshots").is_dir())
                    .then_some((repo, Self { folder }))
            })
            .collect();
        found.sort_by(|left, right| left.0.cmp(&right.0));
        found
    }

    /// Where the bytes of an object lie.
    pub(crate) fn blob(&self, oid: &str) -> PathBuf {
        self.folder.join("blobs").join(oid)
    }

    /// The folder of a commit's files.
    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The lock that the hub's own tools take while they write this object.
    pub(crate) fn lock(&self, oid: &str) -> Option<PathBuf> {
        let (hub_cache, name) = (self.folder.parent()?, self.folder.file_name()?);
        Some(
            hub_cache
                .join(".locks")
                .join(name)
                .join(format!("{oid}.lock")),
        )
    }

    /// The commit that a branch was at when it was last looked up; without that branch, any.
    pub(crate) fn commit(&self, branch: &str) -> Option<String> {
        let refs = self.folder.join("refs");
        if let Some(commit) = read_ref(&refs.join(branch)) {
            return Some(commit);
        }
        let mut others: Vec<PathBuf> = std::fs::read_dir(&refs)
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        others.sort();
        others.iter().find_map(|path| read_ref(path))
    }

    /// Notes the commit that a branch is at.
    pub(crate) fn write_ref(&self, branch: &str, commit: &str) -> Result<(), ModelError> {
        write_atomically(&self.folder.join("refs").join(branch), commit.as_bytes())
    }

    /// All commits of which files are here, sorted.
    pub(crate) fn commits(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.folder.join("snapshots")) else {
            return Vec::new();
        };
        let mut commits: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| is_commit(name))
            .collect();
        commits.sort();
        commits
    }

    /// The GGUF files of a commit that are wholly here, sorted by path.
    pub(crate) fn files(&self, commit: &str) -> Vec<String> {
        let root = self.snapshot(commit);
        let mut found = Vec::new();
        collect(&root, &root, 0, &mut found);
        found.sort();
        found
    }

    /// The objects that files of any commit lead to.
    pub(crate) fn objects_in_use(&self) -> BTreeSet<PathBuf> {
        let mut objects = BTreeSet::new();
        let mut folders = vec![self.folder.join("snapshots")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
                } else {
                    objects.extend(std::fs::canonicalize(entry.path()).ok());
                }
            }
        }
        objects
    }

    /// Whether the commit of a file has models beside those given.
    pub(crate) fn has_other_models(&self, file: &Path, given: &[PathBuf]) -> bool {
        self.commits().iter().any(|commit| {
            let snapshot = self.snapshot(commit);
            file.starts_with(&snapshot)
                && self
                    .files(commit)
                    .iter()
                    .any(|path| is_model(path) && !given.contains(&snapshot.join(path)))
        })
    }

    /// Makes the file of a commit: a relative link to its object, as the hub's own tools make it.
    /// Where links cannot be made the object itself is moved there, as llama.cpp does.
    pub(crate) fn link(&self, commit: &str, file: &str, oid: &str) -> Result<PathBuf, ModelError> {
        let snapshot = self.snapshot(commit);
        let path = snapshot.join(file);
        let fail = |source| ModelError::io("link", &path, source);
        if path.is_file() {
            return Ok(path);
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(fail)?;
        }
        let depth = Path::new(file).components().count() + 1;
        let mut target: PathBuf = std::iter::repeat_n("..", depth).collect();
        target.push("blobs");
        target.push(oid);
        // Made beside and renamed, so that a link to an object that was removed is replaced, and two
        // processes that do this at once do not meet.
        let new = unique_beside(&path);
        match std::os::unix::fs::symlink(&target, &new) {
            Ok(()) => std::fs::rename(&new, &path).map_err(fail)?,
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::Unsupported
                ) =>
            {
                std::fs::rename(self.blob(oid), &path).map_err(fail)?;
            }
            Err(error) => return Err(fail(error)),
        }
        Ok(path)
    }
}

/// Whether a file's path stays inside the repository.
pub(crate) fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains('\\')
        && Path::new(path)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
}

/// Whether a text is a commit's hash.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The SHA-256 of a file of a snapshot as the name of its object says it.
pub(crate) fn promised_digest(file: &Path) -> Option<String> {
    let object = std::fs::read_link(file).ok()?;
    let name = object.file_name()?.to_str()?;
    is_sha256(name).then(|| name.to_ascii_lowercase())
}

fn read_ref(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let commit = text.lines().next()?.trim();
    is_commit(commit).then(|| commit.to_owned())
}

/// Folders deeper than this are no repository's.
const DEEPEST: usize = 8;

fn collect(root: &Path, folder: &Path, depth: usize, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && depth < DEEPEST {
            collect(root, &path, depth + 1, found);
        } else if path.is_file()
            && let Some(inside) = path.strip_prefix(root).ok().and_then(Path::to_str)
            && has_gguf_ending(inside)
        {
            found.push(inside.to_owned());
        }
    }
}
