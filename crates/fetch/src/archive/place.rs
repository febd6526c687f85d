//! Puts entries in their places, and takes them away again if the archive is refused.

use super::entry::{Entry, Kind, Refusal, guarded, stays_inside};
use super::{FetchError, Unpacked};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

pub(super) struct Placer {
    root: PathBuf,
    /// Folders below the root that are known to be real folders.
    folders: BTreeSet<PathBuf>,
    /// Where each file of the archive went, for entries that are the same file.
    files: BTreeMap<PathBuf, PathBuf>,
    /// Links to be made at the end: place and target.
    links: BTreeMap<PathBuf, PathBuf>,
    /// What was made, in order, to be removed in reverse.
    made: Vec<(PathBuf, Made)>,
    unpacked: Unpacked,
}

#[derive(Clone, Copy)]
enum Made {
    Folder,
    File,
}

impl Placer {
    pub(super) fn new(root: &Path) -> Result<Self, FetchError> {
        fs::create_dir_all(root)
            .map_err(|source| FetchError::io("make the folder", root, source))?;
        let root = root
            .canonicalize()
            .map_err(|source| FetchError::io("use the folder", root, source))?;
        Ok(Self {
            root,
            folders: BTreeSet::new(),
            files: BTreeMap::new(),
            links: BTreeMap::new(),
            made: Vec::new(),
            unpacked: Unpacked::default(),
        })
    }

    /// Puts one entry at `place` below the root.
    pub(super) fn place(
        &mut self,
        entry: Entry,
        place: &Path,
        data: &mut dyn Read,
    ) -> Result<(), Refusal> {
        // A caller that takes one folder of the archive as the root chooses the empty path for it.
        if entry.kind == Kind::Folder && place.as_os_str().is_empty() {
            return Ok(());
        }
        // The caller's choice is guarded like the archive's own names: it is often made from them.
        let Some(place) = guarded(place.as_os_str().as_bytes())? else {
            return Ok(());
        };
        if self.links.contains_key(&place) {
            return Err(Refusal::entry(&entry.path, "its name occurs twice"));
        }
        match entry.kind {
            Kind::Folder => self.folder(&entry.path, &place),
            Kind::File { executable } => {
                self.file(&entry.path, &place, executable, data)?;
                self.files.insert(entry.path, place);
                Ok(())
            }
            Kind::Link { to } => {
                self.parents(&entry.path, &place)?;
                if !stays_inside(&place, &to) {
                    return Err(Refusal::entry(&entry.path, "it links out of the folder"));
                }
                if self.root.join(&place).symlink_metadata().is_ok() {
                    return Err(Refusal::entry(&entry.path, "something is already there"));
                }
                self.links.insert(place, to);
                Ok(())
            }
            Kind::Same { as_entry } => {
                let Some(source) = self.files.get(&as_entry).cloned() else {
                    return Err(Refusal::entry(
                        &entry.path,
                        "it is the same file as one that was not unpacked before it",
                    ));
                };
                let source = self.root.join(source);
                let open = |path: &Path| {
                    let file = File::open(path)?;
                    let mode = std::os::unix::fs::MetadataExt::mode(&file.metadata()?);
                    Ok((file, mode & 0o111 != 0))
                };
                let (mut file, executable) = open(&source)
                    .map_err(|error| Refusal::Place(FetchError::io("read", &source, error)))?;
                self.file(&entry.path, &place, executable, &mut file)?;
                self.files.insert(entry.path, place);
                Ok(())
            }
        }
    }

    fn file(
        &mut self,
        name: &Path,
        place: &Path,
        executable: bool,
        data: &mut dyn Read,
    ) -> Result<(), Refusal> {
        self.parents(name, place)?;
        let path = self.root.join(place);
        let fail = |source| Refusal::Place(FetchError::io("write", &path, source));
        let mut file = match File::options()
            .write(true)
            .create_new(true)
            .mode(if executable { 0o755 } else { 0o644 })
            .open(&path)
        {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Refusal::entry(name, "something is already there"));
            }
            Err(error) => return Err(fail(error)),
        };
        self.made.push((path.clone(), Made::File));
        let mut block = vec![0; 1 << 16];
        loop {
            let count = match data.read(&mut block) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Refusal::Read(error)),
            };
            file.write_all(&block[..count]).map_err(fail)?;
            self.unpacked.bytes += count as u64;
        }
        self.unpacked.files += 1;
        Ok(())
    }

    fn parents(&mut self, name: &Path, place: &Path) -> Result<(), Refusal> {
        match place.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => self.folder(name, parent),
            _ => Ok(()),
        }
    }

    /// Makes a folder and those above it; none of them may be a link or a file.
    fn folder(&mut self, name: &Path, place: &Path) -> Result<(), Refusal> {
        if self.folders.contains(place) {
            return Ok(());
        }
        self.parents(name, place)?;
        if self.links.contains_key(place) {
            return Err(Refusal::entry(name, "a folder of it is a link"));
        }
        let path = self.root.join(place);
        let fail = |source| Refusal::Place(FetchError::io("make the folder", &path, source));
        match fs::create_dir(&path) {
            Ok(()) => self.made.push((path.clone(), Made::Folder)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !path.symlink_metadata().map_err(fail)?.is_dir() {
                    return Err(Refusal::entry(name, "a folder of it is a file or a link"));
                }
            }
            Err(error) => return Err(fail(error)),
        }
        self.folders.insert(place.to_path_buf());
        Ok(())
    }

    /// Makes the links and checks where each one really leads.
    pub(super) fn finish(&mut self) -> Result<Unpacked, Refusal> {
        for (place, to) in &self.links {
            let path = self.root.join(place);
            std::os::unix::fs::symlink(to, &path)
                .map_err(|source| Refusal::Place(FetchError::io("link", &path, source)))?;
            self.made.push((path, Made::File));
        }
        for place in self.links.keys() {
            let path = self.root.join(place);
            match path.canonicalize() {
                Ok(real) if real.starts_with(&self.root) => self.unpacked.links += 1,
                Ok(_) => return Err(Refusal::entry(place, "it links out of the folder")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    fs::remove_file(&path).map_err(|source| {
                        Refusal::Place(FetchError::io("remove", &path, source))
                    })?;
                    self.unpacked.dangling += 1;
                }
                Err(error) => {
                    return Err(Refusal::entry(place, format!("it links nowhere: {error}")));
                }
            }
        }
        Ok(self.unpacked.clone())
    }

    /// Removes everything that was made.
    pub(super) fn undo(&mut self) {
        for (path, made) in self.made.drain(..).rev() {
            let gone = match made {
                Made::Folder => fs::remove_dir(&path),
                Made::File => fs::remove_file(&path),
            };
            if let Err(error) = gone
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "could not clean up");
            }
        }
    }
}
