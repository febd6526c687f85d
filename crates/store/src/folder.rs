//! Where the store's files lie.
//!
//! ```text
//! store/
//!   segments/ID/seal               somebody asks for blocks of all that the journal holds
//!   segments/ID/lock               held while the process that writes here lives
//!   segments/ID/00000001.journal   what was answered and lies in no block yet
//!   segments/ID/00000001.blocks    the same rows in columns: takes the journal's place
//!   blocks/ID.blocks               many such files made one
//!   compact.lock
//! ```

use crate::StoreError;
use std::fs::{DirBuilder, File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) const JOURNAL: &str = "journal";
pub(crate) const BLOCKS: &str = "blocks";

const SEAL: &str = "seal";

/// The store's folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: PathBuf,
}

/// What the name of a segment begins with until its lock is held.
const STARTING: &str = ".";

/// A segment whose process is gone. As long as this is held nobody else takes it for that.
#[derive(Debug)]
pub(crate) struct DeadSegment {
    pub(crate) path: PathBuf,
    _lock: File,
}

/// A file that holds rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Held {
    /// Its name relative to the store's folder.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Blocks,
    Journal,
    /// A folder of which nobody can say what it holds.
    Unlisted,
}

impl Folder {
    /// The store in this folder, made if it is not there.
    pub(crate) fn open(root: &Path) -> Result<Self, StoreError> {
        let folder = Self {
            root: root.to_owned(),
        };
        for inner in [folder.segments(), folder.blocks()] {
            make_durably(&inner)?;
        }
        Ok(folder)
    }

    pub(crate) fn segments(&self) -> PathBuf {
        self.root.join("segments")
    }

    pub(crate) fn blocks(&self) -> PathBuf {
        self.root.join("blocks")
    }

    pub(crate) fn compact_lock(&self) -> PathBuf {
        self.root.join("compact.lock")
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A folder of its own for this process, with its lock held.
    pub(crate) fn new_segment(&self) -> Result<(PathBuf, File), StoreError> {
        let id = new_id();
        // Under a name that nobody looks at until its lock is held: else a compactor could take it
        // for one whose process is gone.
        let unnamed = self.segments().join(format!("{STARTING}{id}"));
        let path = self.segments().join(id);
        make(&unnamed)?;
        let lock = unnamed.join("lock");
        let file = File::create(&lock).map_err(|error| StoreError::io("create", &lock, error))?;
        file.lock()
            .map_err(|error| StoreError::io("lock", &lock, error))?;
        std::fs::rename(&unnamed, &path)
            .map_err(|error| StoreError::io("rename", &unnamed, error))?;
        crate::file::sync_folder(&path)?;
        Ok((path, file))
    }

    /// Every file that holds rows. A journal whose blocks are there is not listed.
    pub(crate) fn list(&self) -> Result<Vec<Held>, StoreError> {
        let mut all = Vec::new();
        held(&self.blocks(), "blocks", &mut all)?;
        for segment in entries(&self.segments())? {
            let name = format!("segments/{}", segment.file_name().to_string_lossy());
            // One that cannot be listed is no reason not to read the others.
            if held(&segment.path(), &name, &mut all).is_err() {
                all.push(Held {
                    name,
                    path: segment.path(),
                    kind: Kind::Unlisted,
                });
            }
        }
        all.sort();
        let sealed: Vec<PathBuf> = all
            .iter()
            .filter(|file| file.kind == Kind::Blocks)
            .map(|file| file.path.with_extension(JOURNAL))
            .collect();
        all.retain(|file| file.kind != Kind::Journal || !sealed.contains(&file.path));
        Ok(all)
    }

    /// Segments whose process is gone: their locks are free.
    pub(crate) fn dead_segments(&self) -> Result<Vec<DeadSegment>, StoreError> {
        let mut dead = Vec::new();
        for segment in entries(&self.segments())? {
            if segment.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let lock = segment.path().join("lock");
            // Without a lock it is being removed.
            let Ok(file) = File::open(&lock) else {
                continue;
            };
            match file.try_lock() {
                Ok(()) => dead.push(DeadSegment {
                    path: segment.path(),
                    _lock: file,
                }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(StoreError::io("lock", lock, error));
                }
            }
        }
        Ok(dead)
    }

    /// What a compaction that was killed left half written. Only for whoever holds the lock of
    /// compaction.
    pub(crate) fn remove_unfinished(&self) -> Result<(), StoreError> {
        remove_unfinished(&self.blocks())?;
        for segment in self.dead_segments()? {
            remove_unfinished(&segment.path)?;
        }
        Ok(())
    }

    /// Asks the program that writes in a segment for blocks of all that its journal holds.
    pub(crate) fn ask_to_seal(segment: &Path) -> Result<(), StoreError> {
        let path = segment.join(SEAL);
        File::create(&path)
            .map(drop)
            .map_err(|error| StoreError::io("create", path, error))
    }

    /// Whether that was asked of a segment; it is not known any more then.
    pub(crate) fn take_seal_request(segment: &Path) -> bool {
        std::fs::remove_file(segment.join(SEAL)).is_ok()
    }

    /// A new name for a file of blocks.
    pub(crate) fn new_blocks(&self) -> PathBuf {
        self.blocks().join(new_id()).with_extension(BLOCKS)
    }
}

/// Rises with time, and is unique among processes and within one.
fn new_id() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos());
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{now:020}-{}-{count}", std::process::id())
}

/// Makes a folder and those above it that are not there, and their names durable.
fn make_durably(folder: &Path) -> Result<(), StoreError> {
    let missing = folder.ancestors().take_while(|folder| !folder.is_dir());
    let missing: Vec<&Path> = missing.collect();
    if !missing.is_empty() {
        make(folder)?;
    }
    for made in missing.into_iter().rev() {
        crate::file::sync_folder(made)?;
    }
    Ok(())
}

fn remove_unfinished(folder: &Path) -> Result<(), StoreError> {
    for entry in entries(folder)? {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            std::fs::remove_file(&path).map_err(|error| StoreError::io("remove", &path, error))?;
        }
    }
    Ok(())
}

fn make(folder: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| StoreError::io("make", folder, error))
}

/// A folder's entries; one that is gone or a file has none.
fn entries(folder: &Path) -> Result<Vec<std::fs::DirEntry>, StoreError> {
    let failed = |error| StoreError::io("list", folder, error);
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.collect::<Result<_, _>>().map_err(failed),
        Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => {
            Ok(Vec::new())
        }
        Err(error) => Err(failed(error)),
    }
}

/// Whether this is the name, relative to the store's folder, of a file that holds rows.
pub(crate) fn holds_rows(name: &str) -> bool {
    let path = Path::new(name);
    let folders = ["segments", "blocks"];
    folders.iter().any(|folder| path.starts_with(folder))
        && path
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        && kind(path).is_some()
}

fn kind(path: &Path) -> Option<Kind> {
    match path.extension()?.to_str()? {
        JOURNAL => Some(Kind::Journal),
        BLOCKS => Some(Kind::Blocks),
        _ => None,
    }
}

fn held(folder: &Path, name: &str, all: &mut Vec<Held>) -> Result<(), StoreError> {
    for entry in entries(folder)? {
        let path = entry.path();
        let Some(kind) = kind(&path) else {
            continue;
        };
        // Anything else of that name is none of ours, and a pipe would be waited for.
        if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        all.push(Held {
            name: format!("{name}/{}", entry.file_name().to_string_lossy()),
            path,
            kind,
        });
    }
    Ok(())
}
