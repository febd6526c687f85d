//! Our own store: one folder a runtime, named by its identity.

use crate::proof::{Proved, hex};
use crate::{Backend, Build, Runtime, RuntimeError, Source, files, lock};
use llamatelemetry_settings::Settings;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

const SCHEMA_VERSION: u32 = 1;
const DOCUMENT: &str = "runtime.json";

/// A runtime of the store.
#[derive(Debug, Clone, Serialize)]
pub struct Installed {
    /// The runtime.
    pub runtime: Runtime,
    /// Its folder.
    pub folder: PathBuf,
    /// Bytes on disk.
    pub size: u64,
    /// Whether the lock file names it: it is the one a load uses.
    pub current: bool,
}

/// The runtimes of the store, ordered by identity. Folders that hold no readable document are left
/// out; they are overwritten when the same runtime is made again.
pub fn list(settings: &Settings) -> Result<Vec<Installed>, RuntimeError> {
    let current = lock::recorded(settings).map(|runtime| runtime.identity);
    Ok(entries(settings)?
        .into_iter()
        .map(|(folder, runtime)| Installed {
            size: files::size_of_folder(&folder),
            current: current.as_ref() == Some(&runtime.identity),
            folder,
            runtime,
        })
        .collect())
}

/// Removes the runtime whose identity begins with `name`, and the build tree it was made in.
/// Servers that run from it go on. Returns what was removed.
pub fn remove(settings: &Settings, name: &str) -> Result<Installed, RuntimeError> {
    let _guard = settings.home.lock("runtime", || ())?;
    let mut all = list(settings)?;
    let known = || all.iter().map(|one| one.runtime.identity.clone());
    let matches: Vec<usize> = all
        .iter()
        .enumerate()
        .filter(|(_, one)| one.runtime.identity.starts_with(name) && !name.is_empty())
        .map(|(index, _)| index)
        .collect();
    let exact = all.iter().position(|one| one.runtime.identity == name);
    let index = match (exact, matches.as_slice()) {
        (Some(index), _) | (None, &[index]) => index,
        (None, []) => {
            return Err(RuntimeError::Unknown {
                name: name.to_owned(),
                known: known().collect(),
            });
        }
        (None, _) => {
            return Err(RuntimeError::Ambiguous {
                name: name.to_owned(),
                matches: known().filter(|have| have.starts_with(name)).collect(),
            });
        }
    };
    let chosen = all.swap_remove(index);
    if chosen.current {
        lock::forget(settings)?;
    }
    // Renamed first: what is half removed must not look like a runtime.
    let trash = settings
        .home
        .runtimes()
        .join(format!(".removed-{}", chosen.runtime.identity));
    files::remove_folder(&trash)?;
    std::fs::rename(&chosen.folder, &trash)
        .map_err(|source| RuntimeError::io("rename", &chosen.folder, source))?;
    files::remove_folder(&trash)?;
    files::remove_folder(&crate::build::tree_of(settings, &chosen.runtime.identity))?;
    Ok(chosen)
}

/// Folder and runtime of each entry, ordered by identity.
pub(crate) fn entries(settings: &Settings) -> Result<Vec<(PathBuf, Runtime)>, RuntimeError> {
    let root = settings.home.runtimes();
    let folders = match std::fs::read_dir(&root) {
        Ok(folders) => folders,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(RuntimeError::io("read", &root, source)),
    };
    let mut found: Vec<(PathBuf, Runtime)> = folders
        .flatten()
        .map(|entry| entry.path())
        .filter_map(|folder| Some((folder.clone(), read(&folder)?)))
        .collect();
    found.sort_by(|left, right| left.1.identity.cmp(&right.1.identity));
    Ok(found)
}

/// The runtime of this identity, if it is in the store.
pub(crate) fn find(settings: &Settings, identity: &str) -> Option<(PathBuf, Runtime)> {
    let folder = settings.home.runtimes().join(identity);
    let runtime = read(&folder)?;
    Some((folder, runtime))
}

/// What stands beside the program: the runtime with paths inside its folder made relative, so that
/// a home can be moved.
#[derive(Serialize, Deserialize)]
struct Document {
    schema_version: u32,
    runtime: Runtime,
}

fn read(folder: &Path) -> Option<Runtime> {
    let text = std::fs::read(folder.join(DOCUMENT)).ok()?;
    let document: Document = serde_json::from_slice(&text).ok()?;
    let named = folder.file_name()? == document.runtime.identity.as_str();
    if document.schema_version != SCHEMA_VERSION || !named {
        return None;
    }
    let mut runtime = document.runtime;
    runtime.server = folder.join(&runtime.server);
    for library in &mut runtime.library_dirs {
        // An absolute path replaces the folder.
        *library = folder.join(&library);
    }
    Some(runtime)
}

fn write(folder: &Path, runtime: &Runtime) -> Result<(), RuntimeError> {
    let mut runtime = runtime.clone();
    let inside = |path: &Path| path.strip_prefix(folder).unwrap_or(path).to_path_buf();
    runtime.server = inside(&runtime.server);
    runtime.library_dirs = runtime
        .library_dirs
        .iter()
        .map(|path| inside(path))
        .collect();
    files::write_json(
        &folder.join(DOCUMENT),
        &Document {
            schema_version: SCHEMA_VERSION,
            runtime,
        },
    )
}

/// A runtime that is being put together in a folder of its own, beside those that are whole.
#[derive(Debug)]
pub(crate) struct Staged {
    folder: PathBuf,
    identity: String,
}

impl Staged {
    /// An empty folder for a runtime of this identity. The caller holds the lock `runtime`.
    pub(crate) fn new(settings: &Settings, identity: &str) -> Result<Self, RuntimeError> {
        let folder = settings
            .home
            .runtimes()
            .join(format!(".staging-{identity}"));
        files::remove_folder(&folder)?;
        settings.home.ensure(folder.clone())?;
        Ok(Self {
            folder,
            identity: identity.to_owned(),
        })
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the document and moves the folder to its place. The stamp holds on, because files
    /// keep their inodes, except for the path in it, which is why it is taken anew.
    pub(crate) fn install(
        self,
        settings: &Settings,
        made: Made,
        proved: Proved,
    ) -> Result<Runtime, RuntimeError> {
        let place = settings.home.runtimes().join(&self.identity);
        let moved = |path: &Path| match path.strip_prefix(&self.folder) {
            Ok(inside) => place.join(inside),
            Err(_) => path.to_path_buf(),
        };
        let mut runtime = assemble(self.identity.clone(), made, proved);
        runtime.server = moved(&runtime.server);
        runtime.library_dirs = runtime
            .library_dirs
            .iter()
            .map(|path| moved(path))
            .collect();
        files::remove_folder(&place)?;
        std::fs::rename(&self.folder, &place)
            .map_err(|source| RuntimeError::io("rename", &self.folder, source))?;
        runtime.proof.stamp = crate::proof::Stamp::of(&runtime.server, &runtime.library_dirs)
            .map_err(|source| RuntimeError::io("read", &runtime.server, source))?;
        // Last, because an entry without its document is none.
        write(&place, &runtime)?;
        Ok(runtime)
    }
}

impl Drop for Staged {
    /// A build or an archive that was refused must not fill the disk. What was installed has moved
    /// away, and there is nothing to remove.
    fn drop(&mut self) {
        if let Err(error) = files::remove_folder(&self.folder) {
            tracing::warn!(%error, "a folder of a refused runtime is left");
        }
    }
}

/// What is known of a runtime before it is proved.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) server: PathBuf,
    pub(crate) source: Source,
    pub(crate) library_dirs: Vec<PathBuf>,
    pub(crate) flags: Vec<String>,
}

/// A runtime from what was made and what the proof found out.
pub(crate) fn assemble(identity: String, made: Made, proved: Proved) -> Runtime {
    Runtime {
        identity,
        server: made.server,
        build: proved.build,
        source: made.source,
        backend: proved.backend,
        library_dirs: made.library_dirs,
        devices: proved.devices,
        flags: made.flags,
        proof: proved.proof,
    }
}

/// The name of a build: its number, its back end and a digest of all it was made of.
pub(crate) fn identity<'a>(
    number: Option<u32>,
    backend: Backend,
    parts: impl IntoIterator<Item = &'a str>,
) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part.as_bytes());
    }
    let digest = hex(&digest.finalize());
    let number = number.map_or_else(|| "b0".to_owned(), |number| format!("b{number}"));
    format!("{number}-{backend}-{}", &digest[..12])
}

/// The name of a build that was not made here: by the bytes of its program.
pub(crate) fn foreign_identity(build: &Build, backend: Backend, sha256: &str) -> String {
    identity(build.number, backend, [sha256])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_tells_its_parts_apart() {
        let one = identity(Some(11434), Backend::Cpu, ["ab", "c"]);
        assert!(one.starts_with("b11434-cpu-"));
        assert_eq!(one, identity(Some(11434), Backend::Cpu, ["ab", "c"]));
        assert_ne!(one, identity(Some(11434), Backend::Cpu, ["a", "bc"]));
        assert_ne!(one, identity(Some(11434), Backend::Cuda, ["ab", "c"]));
        assert!(identity(None, Backend::Cuda, []).starts_with("b0-cuda-"));
    }
}
