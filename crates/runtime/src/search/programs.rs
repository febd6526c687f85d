//! Programs that were not made here: where they lie, what came with them, what they are called.

use crate::child::is_program;
use crate::proof::{Proved, Refusal, RefusalKind};
use crate::store::{Made, assemble, foreign_identity};
use crate::{Backend, Runtime, Source};
use std::path::{Path, PathBuf};

/// A refusal for a server that computes with something else than is wanted.
pub(super) fn wrong_backend(backend: Backend) -> Refusal {
    Refusal::new(
        RefusalKind::WrongBackend,
        match backend {
            Backend::Cpu => "it sees no GPU that it can compute with".to_owned(),
            other => format!("it computes with {other}"),
        },
    )
}

pub(super) fn foreign(
    server: PathBuf,
    library_dirs: Vec<PathBuf>,
    source: Source,
    proved: Proved,
) -> Runtime {
    let identity = foreign_identity(&proved.build, proved.backend, &proved.proof.sha256);
    let made = Made {
        server,
        source,
        library_dirs,
        flags: Vec::new(),
    };
    assemble(identity, made, proved)
}

/// A path may name the program, or a folder that holds it.
pub(super) fn program_at(path: &Path) -> PathBuf {
    ["llama-server", "bin/llama-server"]
        .iter()
        .map(|name| path.join(name))
        .find(|program| path.is_dir() && is_program(program))
        .unwrap_or_else(|| path.to_path_buf())
}

/// Folders of llama.cpp's shared libraries that came with a program: its own, and `lib` beside
/// `bin`. System folders need no mention.
pub(super) fn libraries_beside(server: &Path) -> Vec<PathBuf> {
    let real = std::fs::canonicalize(server).unwrap_or_else(|_| server.to_path_buf());
    let Some(own) = real.parent() else {
        return Vec::new();
    };
    let beside = own.parent().map(|above| above.join("lib"));
    std::iter::once(own.to_path_buf())
        .chain(beside)
        .filter(|folder| !folder.starts_with("/usr/lib") && !folder.starts_with("/lib"))
        .filter(|folder| {
            std::fs::read_dir(folder).is_ok_and(|entries| {
                entries.flatten().any(|entry| {
                    entry.file_name().to_str().is_some_and(|name| {
                        ["libllama", "libggml"]
                            .iter()
                            .any(|prefix| name.starts_with(prefix))
                    })
                })
            })
        })
        .collect()
}
