//! Which launches are in the runtime folder, alive and dead.

use super::runtime_folder;
use crate::ServerError;
use llamatelemetry_settings::Environment;
use std::fs::File;
use std::path::PathBuf;

/// The launches of this user's runtime folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launches {
    /// The folder.
    pub folder: PathBuf,
    /// How many are alive.
    pub alive: usize,
    /// How many left files behind; the next launch removes those.
    pub dead: usize,
}

/// Looks at the runtime folder and removes nothing. Fails where no server could be launched,
/// because the folder cannot be used or is not private.
pub fn launches(environment: &Environment) -> Result<Launches, ServerError> {
    let folder = runtime_folder(environment)?;
    let entries = std::fs::read_dir(&folder).map_err(|source| ServerError::RuntimeFolder {
        path: folder.clone(),
        source,
    })?;
    let (mut alive, mut dead) = (0, 0);
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.extension() != Some("lock".as_ref()) {
            continue;
        }
        // Shared: it must not make a launch that is just being made look taken.
        match File::open(&path).map(|file| file.try_lock_shared()) {
            Ok(Ok(())) => dead += 1,
            Ok(Err(_)) => alive += 1,
            Err(_) => {}
        }
    }
    Ok(Launches {
        folder,
        alive,
        dead,
    })
}
