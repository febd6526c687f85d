//! Models at a path: a file, the first or another part of a split model, a folder with one model.

use crate::{LocalModel, ModelError, ModelSource, digest, files, header};
use llamatelemetry_fetch::HashMemory;
use llamatelemetry_settings::{Environment, nearest};
use std::path::{Path, PathBuf};

/// The model at a path that the user named.
pub(crate) fn ensure(
    named: &Path,
    environment: &Environment,
    memory: &HashMemory,
) -> Result<LocalModel, ModelError> {
    let path = expand(named, environment);
    let metadata = match std::fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(ModelError::Missing {
                nearest: look_alikes(&path),
                path,
            });
        }
        Err(source) => return Err(ModelError::io("read", &path, source)),
    };
    let file = if metadata.is_dir() {
        only_model(&path)?
    } else {
        path
    };
    at(&file, None, ModelSource::Path, memory)
}

/// The model whose file this is. Every part of it is looked at, and the projector beside it is
/// paired if it is certain to belong to it.
pub(crate) fn at(
    file: &Path,
    name: Option<&str>,
    source: ModelSource,
    memory: &HashMemory,
) -> Result<LocalModel, ModelError> {
    // llama-server wants an absolute path: it runs in a folder of its own.
    let file = std::path::absolute(file).map_err(|source| ModelError::io("find", file, source))?;
    let shards = shards(&file)?;
    let mut size = 0;
    for shard in &shards {
        header::check(shard)?;
        size += std::fs::metadata(shard)
            .map_err(|source| ModelError::io("read", shard, source))?
            .len();
    }
    let path = shards.first().cloned().unwrap_or(file);
    let name = name.map_or_else(|| stem(&path), str::to_owned);
    Ok(LocalModel {
        name,
        projector: projector_beside(&path),
        sha256: digest::recall(memory, &shards),
        path,
        shards,
        size,
        source,
    })
}

/// `~` and `~/…` as the shell would have them.
fn expand(path: &Path, environment: &Environment) -> PathBuf {
    match (path.strip_prefix("~"), environment.get_os("HOME")) {
        (Ok(rest), Some(home)) => Path::new(home).join(rest),
        _ => path.to_path_buf(),
    }
}

/// A model's name from its file: without ending and split suffix.
pub(crate) fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    files::FileName::read(&name).map_or_else(|| name.to_string(), |name| name.prefix)
}

/// All parts of the model that the file belongs to.
fn shards(file: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let Some(parsed) = files::FileName::read(&name).filter(|parsed| parsed.count > 1) else {
        return Ok(vec![file.to_path_buf()]);
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let (have, missing): (Vec<_>, Vec<_>) = (1..=parsed.count)
        .map(|index| parsed.part(index))
        .partition(|part| folder.join(part).is_file());
    if missing.is_empty() {
        Ok(have.iter().map(|part| folder.join(part)).collect())
    } else {
        Err(ModelError::MissingShards {
            path: folder.join(parsed.part(1)),
            count: parsed.count,
            missing,
        })
    }
}

/// The names of the files directly in a folder, sorted.
fn names_in(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The one model in a folder.
fn only_model(folder: &Path) -> Result<PathBuf, ModelError> {
    let names = names_in(folder).map_err(|source| ModelError::io("read", folder, source))?;
    let models: Vec<PathBuf> = names
        .iter()
        .filter(|name| files::is_model(name))
        .filter(|name| {
            files::FileName::read(name).is_some_and(|name| name.count <= 1 || name.index == 1)
        })
        .map(|name| folder.join(name))
        .collect();
    match <[PathBuf; 1]>::try_from(models) {
        Ok([model]) => Ok(model),
        Err(models) => Err(ModelError::Folder {
            path: folder.to_path_buf(),
            models,
        }),
    }
}

/// The projector in a model's folder. Only where the folder holds one model, in however many
/// quantizations: in a folder of many models it may belong to another, and a wrong one keeps the
/// server from starting.
fn projector_beside(model: &Path) -> Option<PathBuf> {
    let folder = model.parent()?;
    let names = names_in(folder).ok()?;
    let projector = files::projector(
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
        &model.file_name()?.to_string_lossy(),
    )?;
    let mut bases = names
        .iter()
        .filter(|name| files::is_model(name))
        .filter_map(|name| files::FileName::read(name))
        .map(|name| base(&name));
    let first = bases.next()?;
    bases
        .all(|other| other == first)
        .then(|| folder.join(projector))
}

/// A file's name without its quantization.
fn base(name: &files::FileName) -> String {
    name.prefix[..name.prefix.len() - name.tag.len()].to_ascii_lowercase()
}

/// Files beside a path that look like what was meant.
fn look_alikes(path: &Path) -> Vec<PathBuf> {
    let Some(folder) = path.parent() else {
        return Vec::new();
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let names: Vec<String> = names_in(folder)
        .unwrap_or_default()
        .into_iter()
        .filter(|name| files::is_model(name))
        .collect();
    let wanted = path.file_name().unwrap_or_default().to_string_lossy();
    nearest(&wanted, names.iter().map(String::as_str), 3)
        .into_iter()
        .map(|name| folder.join(name))
        .collect()
}
