//! Room on disk.

use std::io;
use std::path::Path;

/// Bytes that this user can still write to the file system that holds `path`. The path need not
/// exist yet: the nearest folder above it that does is asked.
pub fn disk_free(path: &Path) -> io::Result<u64> {
    let absolute = std::path::absolute(path)?;
    let mut last = None;
    for folder in absolute.ancestors() {
        match crate::sys::statvfs_free(folder) {
            Ok(free) => return Ok(free),
            Err(error) if error.kind() == io::ErrorKind::NotFound => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::from(io::ErrorKind::NotFound)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_to_be_is_as_free_as_the_one_it_will_lie_in() {
        let here = std::env::temp_dir();
        assert!(disk_free(&here).unwrap() > 0);
        assert!(disk_free(&here.join("not/yet/there")).unwrap() > 0);
    }
}
