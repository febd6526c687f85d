//! A file of blocks on its way to the disk.

use super::{Entry, sealed, sync_folder};
use crate::StoreError;
use crate::block::Built;
use crate::codec::{put, put_bytes};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// A file of blocks on its way to the disk. Dropped before it is finished nothing of it is left.
#[derive(Debug)]
pub(crate) struct Writing {
    path: PathBuf,
    unfinished: Option<PathBuf>,
    file: File,
    at: u64,
    /// Places of footers count from where the first one will lie.
    entries: Vec<Entry>,
    footers: Vec<u8>,
}

impl Writing {
    pub(crate) fn create(path: &Path) -> Result<Self, StoreError> {
        let unfinished = path.with_extension("tmp");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(|error| StoreError::io("create", &unfinished, error))?;
        Ok(Self {
            path: path.to_owned(),
            unfinished: Some(unfinished),
            file,
            at: 0,
            entries: Vec::new(),
            footers: Vec::new(),
        })
    }

    pub(crate) fn push(&mut self, block: Built) -> Result<(), StoreError> {
        let Built {
            bytes,
            meta,
            traces,
        } = block;
        let footer = meta.encode();
        self.entries.push(Entry {
            signal: meta.signal,
            rows: meta.rows,
            oldest: meta.oldest,
            newest: meta.newest,
            start: self.at,
            footer_start: self.footers.len() as u64,
            footer_length: footer.len(),
            footer_checksum: xxh3_64(&footer),
            traces: Some(traces),
        });
        self.footers.extend_from_slice(&footer);
        self.at += bytes.len() as u64;
        self.write(&bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Puts the file in place, durably: when this returns it is there whole, after a crash too.
    pub(crate) fn finish(mut self, replaces: &[String]) -> Result<(), StoreError> {
        let footers = std::mem::take(&mut self.footers);
        self.write(&footers)?;
        let mut directory = Vec::new();
        put(&mut directory, self.entries.len() as u64);
        for entry in &mut self.entries {
            entry.footer_start += self.at;
            entry.encode(&mut directory);
        }
        put(&mut directory, replaces.len() as u64);
        for name in replaces {
            put_bytes(&mut directory, name.as_bytes());
        }
        self.write(&sealed(directory))?;
        let unfinished = self.path.with_extension("tmp");
        self.file
            .sync_data()
            .map_err(|error| StoreError::io("write", &unfinished, error))?;
        std::fs::rename(&unfinished, &self.path)
            .map_err(|error| StoreError::io("rename", &self.path, error))?;
        self.unfinished = None;
        sync_folder(&self.path)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_all(bytes)
            .map_err(|error| StoreError::io("write", &self.path, error))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(unfinished) = &self.unfinished {
            // What is left of it would only take room.
            std::fs::remove_file(unfinished).ok();
        }
    }
}
