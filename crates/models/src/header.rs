//! A first look at a file, so that a bad one is refused before a server is started for it.

use crate::ModelError;
use llamatelemetry_gguf::{Gguf, GgufError, Problem};
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// What a file that is not a GGUF looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotGguf {
    /// A web page: a sign-in or error page saved under the model's name.
    WebPage,
    /// JSON text, mostly an error message of a server.
    Json,
    /// A Git LFS pointer: a checkout without the large files.
    LfsPointer,
    /// A safetensors file.
    Safetensors,
    /// A zip archive, as which `PyTorch` writes its files.
    Zip,
    /// A gzip archive.
    Gzip,
    /// A GGML file of 2023, from before GGUF.
    Ggml,
    /// A GGUF file with its bytes in the other order.
    BigEndian,
    /// Nothing at all.
    Empty,
    /// Nothing that is known.
    Other,
}

impl fmt::Display for NotGguf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebPage => "a web page",
            Self::Json => "JSON text",
            Self::LfsPointer => "a Git LFS pointer",
            Self::Safetensors => "a safetensors file",
            Self::Zip => "a zip archive or PyTorch file",
            Self::Gzip => "a gzip archive",
            Self::Ggml => "a GGML file from before GGUF",
            Self::BigEndian => "a GGUF for big-endian machines",
            Self::Empty => "an empty file",
            Self::Other => "something else",
        })
    }
}

impl NotGguf {
    pub(crate) fn hints(self) -> Vec<String> {
        let hint = match self {
            Self::WebPage | Self::Json => {
                "the address gave a page instead of the file (a sign-in, a wrong link); take the \
                 download link, or the hf: form of the name"
            }
            Self::LfsPointer => "fetch the large files: git lfs pull",
            Self::Safetensors | Self::Zip | Self::Ggml => {
                "convert it to GGUF, or look for a repository whose name ends in -GGUF"
            }
            Self::Gzip => "unpack it first",
            Self::BigEndian => "take the file for little-endian machines",
            Self::Empty | Self::Other => "check that it is the right file, or fetch it again",
        };
        vec![hint.to_owned()]
    }

    /// What the first bytes look like; `None` if like a GGUF.
    fn of(start: &[u8]) -> Option<Self> {
        if start.starts_with(b"GGUF") {
            let version = start.get(4..8).unwrap_or_default();
            // The version is a small number; in the other order its low byte comes last.
            return matches!(version, [0, 0, 0, last] if *last != 0).then_some(Self::BigEndian);
        }
        let text: String = String::from_utf8_lossy(start)
            .trim_start_matches('\u{feff}')
            .trim_start()
            .to_ascii_lowercase();
        Some(if start.is_empty() {
            Self::Empty
        } else if text.starts_with("version https://git-lfs") {
            Self::LfsPointer
        } else if text.starts_with("<!doctype")
            || text.starts_with("<html")
            || text.starts_with("<?xml")
        {
            Self::WebPage
        } else if text.starts_with('{') || text.starts_with('[') {
            Self::Json
        } else if start.get(8) == Some(&b'{') && start.get(6..8) == Some(&[0, 0]) {
            Self::Safetensors
        } else if start.starts_with(b"PK") {
            Self::Zip
        } else if start.starts_with(&[0x1f, 0x8b]) {
            Self::Gzip
        } else if [b"lmgg", b"tjgg", b"fmgg", b"algg"]
            .iter()
            .any(|magic| start.starts_with(*magic))
        {
            Self::Ggml
        } else {
            Self::Other
        })
    }
}

/// Refuses a file that is no GGUF, is cut short or damaged. Reads the header only.
pub(crate) fn check(path: &Path) -> Result<(), ModelError> {
    let mut start = [0; 64];
    let count = File::open(path)
        .and_then(|file| {
            let mut read = Vec::with_capacity(start.len());
            file.take(64).read_to_end(&mut read)?;
            start[..read.len()].copy_from_slice(&read);
            Ok(read.len())
        })
        .map_err(|source| ModelError::io("read", path, source))?;
    if let Some(looks_like) = NotGguf::of(&start[..count]) {
        return Err(ModelError::NotGguf {
            path: path.to_path_buf(),
            looks_like,
        });
    }
    Gguf::open(path)
        .map(drop)
        .map_err(|error| gguf_error(path, error))
}

/// A reader's error, with a file that was cut short told apart.
pub(crate) fn gguf_error(path: &Path, source: GgufError) -> ModelError {
    match source.problem() {
        Some(
            problem @ (Problem::Truncated { .. }
            | Problem::Count { .. }
            | Problem::DataOutside { .. }),
        ) => ModelError::Truncated {
            path: path.to_path_buf(),
            size: std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
            detail: problem.to_string(),
        },
        _ => ModelError::Damaged {
            path: path.to_path_buf(),
            source,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_it_is() {
        let safetensors = b"\x10\x02\0\0\0\0\0\0{\"__metadata__\"";
        for (start, expected) in [
            (&b""[..], Some(NotGguf::Empty)),
            (b"GGUF\x03\0\0\0", None),
            (b"GGUF\0\0\0\x03", Some(NotGguf::BigEndian)),
            (b"\n<!DOCTYPE html>", Some(NotGguf::WebPage)),
            (b"{\"error\":\"x\"}", Some(NotGguf::Json)),
            (
                b"version https://git-lfs.github.com/spec/v1",
                Some(NotGguf::LfsPointer),
            ),
            (safetensors, Some(NotGguf::Safetensors)),
            (b"PK\x03\x04", Some(NotGguf::Zip)),
            (b"tjgg\x03\0\0\0", Some(NotGguf::Ggml)),
            (b"\x7fELF", Some(NotGguf::Other)),
        ] {
            assert_eq!(NotGguf::of(start), expected, "{}", start.escape_ascii());
        }
    }
}
