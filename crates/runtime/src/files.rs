//! Files that are written whole or not at all.

use crate::RuntimeError;
use serde::Serialize;
use std::io::Write as _;
use std::path::Path;

/// Writes a document so that a reader sees the old one or the new one, also after a crash.
pub(crate) fn write_json<T: Serialize>(path: &Path, document: &T) -> Result<(), RuntimeError> {
    let mut text = serde_json::to_vec_pretty(document)
        .map_err(|error| RuntimeError::io("write", path, error.into()))?;
    text.push(b'\n');
    write(path, &text)
}

/// The same with bytes.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), RuntimeError> {
    let fail = |source| RuntimeError::io("write", path, source);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
    file.as_file().sync_all().map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    Ok(())
}

/// Removes a folder and all in it; that there is none is success.
pub(crate) fn remove_folder(path: &Path) -> Result<(), RuntimeError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(RuntimeError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Bytes of all files in a folder.
pub(crate) fn size_of_folder(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size_of_folder(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}
