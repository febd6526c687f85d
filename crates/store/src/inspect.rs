//! Whether bytes are anywhere in the store's files, packed or not: the proof of a purge, and that
//! what was not to be kept was not.

use crate::StoreError;
use crate::block::{Block, Pieces};
use crate::file::BlockFile;
use std::path::{Path, PathBuf};

/// The files below this folder that hold these bytes: as they stand, in a part of a block once it
/// is unpacked, or in a text put together. Files that are not the store's are looked through as
/// they stand.
pub fn files_holding(folder: &Path, bytes: &[u8]) -> Result<Vec<PathBuf>, StoreError> {
    let mut found = Vec::new();
    look_through(folder, bytes, &mut found)?;
    found.sort();
    Ok(found)
}

fn look_through(folder: &Path, bytes: &[u8], found: &mut Vec<PathBuf>) -> Result<(), StoreError> {
    let failed = |error| StoreError::io("list", folder, error);
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            look_through(&path, bytes, found)?;
        } else if kind.is_file() && (stands_in(&path, bytes)? || is_packed_in(&path, bytes)?) {
            found.push(path);
        }
    }
    Ok(())
}

fn holds(text: &[u8], bytes: &[u8]) -> bool {
    bytes.is_empty() || text.windows(bytes.len()).any(|at| at == bytes)
}

fn stands_in(path: &Path, bytes: &[u8]) -> Result<bool, StoreError> {
    let text = std::fs::read(path).map_err(|error| StoreError::io("read", path, error))?;
    Ok(holds(&text, bytes))
}

fn is_packed_in(path: &Path, bytes: &[u8]) -> Result<bool, StoreError> {
    if path
        .extension()
        .is_none_or(|extension| extension != "blocks")
    {
        return Ok(false);
    }
    let file = BlockFile::open(path)?;
    for place in 0..file.entries.len() {
        if is_in_block(&file.block(place)?, bytes)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_in_block(block: &Block, bytes: &[u8]) -> Result<bool, StoreError> {
    let meta = &block.meta;
    for chunk in meta.chunks() {
        if holds(&block.chunk(chunk)?, bytes) {
            return Ok(true);
        }
    }
    let attributes = meta.attributes.iter().map(|(_, _, column)| column);
    for column in meta.texts.iter().chain(attributes) {
        let mut pieces = Pieces::new(block);
        let holding = block
            .dictionary(column)?
            .matching(&mut pieces, |text| holds(text, bytes))?;
        if holding.contains(&true) {
            return Ok(true);
        }
    }
    Ok(false)
}
