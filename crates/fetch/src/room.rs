//! Whether there is room for what is about to be written.

use crate::{FetchError, sys};
use std::path::Path;

/// Checks, before any work is done for it, that `needed` bytes fit on the disk of a folder that is
/// there, and that this process may write a file of `largest` bytes.
pub fn check_room(folder: &Path, needed: u64, largest: u64) -> Result<(), FetchError> {
    if let Some(limit) = sys::file_size_limit()
        && limit < largest
    {
        return Err(FetchError::FileTooLarge {
            limit: Some(limit),
            path: folder.to_path_buf(),
        });
    }
    let available = sys::space_available(folder)
        .map_err(|source| FetchError::io("measure the free space of", folder, source))?;
    if available < needed {
        return Err(FetchError::NoSpace {
            needed,
            available,
            path: folder.to_path_buf(),
        });
    }
    Ok(())
}
