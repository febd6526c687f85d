//! Which files a proof holds for.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Names what changes when a program or the libraries that came with it change: device, inode,
/// size and time of change of each. Takes microseconds where a digest of the bytes takes a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp(String);

impl Stamp {
    /// The stamp of a program, of llama.cpp's libraries beside it and of those in these folders.
    pub fn of(program: &Path, library_dirs: &[PathBuf]) -> io::Result<Self> {
        let program = std::fs::canonicalize(program)?;
        let mut digest = Sha256::new();
        add(&mut digest, &program)?;
        let beside = program.parent().map(Path::to_path_buf);
        for folder in beside.iter().chain(library_dirs) {
            for library in libraries(folder) {
                add(&mut digest, &library)?;
            }
        }
        Ok(Self(hex(&digest.finalize())))
    }

    /// The stamp as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn add(digest: &mut Sha256, path: &Path) -> io::Result<()> {
    let data = std::fs::metadata(path)?;
    digest.update(path.as_os_str().as_encoded_bytes());
    for number in [data.dev(), data.ino(), data.len()] {
        digest.update(number.to_le_bytes());
    }
    for number in [data.mtime(), data.mtime_nsec()] {
        digest.update(number.to_le_bytes());
    }
    Ok(())
}

/// llama.cpp's own libraries in a folder, ordered. System libraries change with every update of the
/// machine and say so when they no longer fit.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    const OURS: &[&str] = &["libggml", "libllama", "libmtmd"];
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|name| OURS.iter().any(|prefix| name.starts_with(prefix)))
        })
        .map(|entry| entry.path())
        // A dangling link in a system folder is no library of a program that runs.
        .filter(|path| path.exists())
        .collect();
    found.sort();
    found
}

/// Bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ignored = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_program_or_library_has_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("llama-server");
        std::fs::write(&program, "one").unwrap();
        let alone = Stamp::of(&program, &[]).unwrap();
        assert_eq!(alone, Stamp::of(&program, &[]).unwrap());

        let library = folder.path().join("libggml-cpu.so");
        std::fs::write(&library, "a").unwrap();
        let with_library = Stamp::of(&program, &[]).unwrap();
        assert_ne!(alone, with_library);
        std::fs::write(&library, "ab").unwrap();
        assert_ne!(with_library, Stamp::of(&program, &[]).unwrap());
        std::fs::remove_file(&library).unwrap();
        assert_eq!(alone, Stamp::of(&program, &[]).unwrap());

        std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
        assert_eq!(alone, Stamp::of(&program, &[]).unwrap());
        std::fs::write(&program, "three").unwrap();
        assert_ne!(alone, Stamp::of(&program, &[]).unwrap());
        assert!(Stamp::of(&folder.path().join("none"), &[]).is_err());
    }
}
