//! Who else can read or write a file.

use crate::SettingsError;
use std::path::Path;

#[cfg(unix)]
fn mode(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    // A file that cannot be asked cannot be read either; whoever opens it says so.
    let metadata = std::fs::metadata(path).ok()?;
    metadata
        .is_file()
        .then(|| metadata.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode(_path: &Path) -> Option<u32> {
    None
}

/// The permission bits of a file that others than its owner can read.
pub(crate) fn others_can_read(path: &Path) -> Option<u32> {
    mode(path).filter(|mode| mode & 0o044 != 0)
}

/// Refuses a config file that everybody can write to: it names programs to run.
pub(crate) fn check_config(path: &Path) -> Result<(), SettingsError> {
    match mode(path) {
        Some(mode) if mode & 0o002 != 0 => Err(SettingsError::Writable {
            path: path.to_owned(),
            mode,
        }),
        _ => Ok(()),
    }
}

/// Refuses a file that holds this secret setting and can be read by others.
pub(crate) fn check_secret(path: &Path, key: &'static str) -> Result<(), SettingsError> {
    match others_can_read(path) {
        Some(mode) => Err(SettingsError::Exposed {
            key,
            path: path.to_owned(),
            mode,
        }),
        None => Ok(()),
    }
}
