//! The companion tools of a runtime, found beside it or built when first needed.

use crate::child::{is_program, on_path};
use crate::{Runtime, RuntimeError, Source, build, store};
use llamatelemetry_progress::Progress;
use llamatelemetry_settings::Settings;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A companion tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Tool {
    /// Measures prompt evaluation and generation.
    Bench,
    /// Finds parameters with which a model fits into memory.
    FitParams,
    /// Quantizes a model.
    Quantize,
    /// Computes an importance matrix.
    Imatrix,
    /// Measures perplexity.
    Perplexity,
    /// Splits and merges GGUF files.
    GgufSplit,
    /// Lends this machine's devices to another.
    RpcServer,
    /// The script that converts models of other formats (needs Python packages of its own).
    Converter,
}

impl Tool {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Bench,
        Self::FitParams,
        Self::Quantize,
        Self::Imatrix,
        Self::Perplexity,
        Self::GgufSplit,
        Self::RpcServer,
        Self::Converter,
    ];

    /// llama.cpp's name for it: the program, the build's target, or the script.
    pub fn program(self) -> &'static str {
        match self {
            Self::Bench => "llama-bench",
            Self::FitParams => "llama-fit-params",
            Self::Quantize => "llama-quantize",
            Self::Imatrix => "llama-imatrix",
            Self::Perplexity => "llama-perplexity",
            Self::GgufSplit => "llama-gguf-split",
            Self::RpcServer => "ggml-rpc-server",
            Self::Converter => "convert_hf_to_gguf.py",
        }
    }
}

/// A companion tool of this runtime. One that is not there yet is built with the flags of the
/// runtime, which takes up to minutes; the build tree is kept, so the next one takes seconds.
///
/// For a runtime that was not built here the tools are looked for beside it and on `PATH`, and else
/// built from the pinned source for the same devices.
pub fn tool(
    settings: &Settings,
    runtime: &Runtime,
    tool: Tool,
    progress: &dyn Progress,
) -> Result<PathBuf, RuntimeError> {
    let name = tool.program();
    if let Some(found) = find(settings, runtime, name) {
        return Ok(found);
    }
    make(settings, runtime, tool, progress).map_err(|source| RuntimeError::Tool {
        tool: name.to_owned(),
        source: Box::new(source),
    })
}

fn find(settings: &Settings, runtime: &Runtime, name: &str) -> Option<PathBuf> {
    let beside = runtime.server.parent().map(|folder| folder.join(name));
    let built_here = !runtime.flags.is_empty();
    beside
        .filter(|path| is_program(path))
        // What lies on PATH belongs to a program found there, not to a build of ours.
        .or_else(|| {
            let from_path = matches!(
                runtime.source,
                Source::SearchPath { .. } | Source::UserPath { .. }
            );
            (from_path && !built_here)
                .then(|| on_path(&settings.environment, name).next())
                .flatten()
        })
}

fn make(
    settings: &Settings,
    runtime: &Runtime,
    tool: Tool,
    progress: &dyn Progress,
) -> Result<PathBuf, RuntimeError> {
    let name = tool.program();
    let _guard = settings.home.lock("runtime", || {
        progress.note("waiting for another process that prepares llama.cpp");
    })?;
    if let Some(found) = find(settings, runtime, name) {
        return Ok(found);
    }
    if tool == Tool::Converter {
        // It needs the modules around it, so it stays where it is.
        return script(&build::source_of(runtime, settings, progress)?, name);
    }
    let built = build::companion(runtime, name, settings, progress)?;
    match store::find(settings, &runtime.identity) {
        Some((folder, _)) => {
            let place = folder.join("bin").join(name);
            build::copy(&built, &place)?;
            Ok(place)
        }
        None => Ok(built),
    }
}

fn script(tree: &Path, name: &str) -> Result<PathBuf, RuntimeError> {
    let path = tree.join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(RuntimeError::NoSource {
            reason: format!("it has no {name}"),
            path: tree.to_path_buf(),
        })
    }
}
