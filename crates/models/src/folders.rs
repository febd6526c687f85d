//! Folders that hold GGUF files: LM Studio's (`publisher/repository/file.gguf`) and those that the
//! settings name.

use crate::context::Context;
use crate::{HubChoice, LocalModel, ModelError, ModelSource, files, local};
use llamatelemetry_settings::Settings;
use std::path::{Path, PathBuf};

/// Folders below one that is searched, at most so deep.
const DEEPEST: usize = 4;

/// A folder that is searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Searched {
    pub(crate) root: PathBuf,
    pub(crate) source: ModelSource,
}

/// A model in such a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FolderModel {
    /// Its first file.
    pub(crate) path: PathBuf,
    /// The folder it was found below.
    pub(crate) source: ModelSource,
}

impl FolderModel {
    /// The model in the form that everybody uses.
    pub(crate) fn model(&self, context: &Context<'_>) -> Result<LocalModel, ModelError> {
        local::at(&self.path, None, self.source.clone(), context.memory())
    }
}

/// The folders that are searched.
pub(crate) fn searched(settings: &Settings) -> Vec<Searched> {
    let lm_studio = lm_studio_roots(settings).into_iter().map(|root| Searched {
        root,
        source: ModelSource::LmStudio,
    });
    let named = settings.models.folders.iter().map(|root| Searched {
        root: root.clone(),
        source: ModelSource::Folder,
    });
    named.chain(lm_studio).collect()
}

/// Where LM Studio keeps models: below the folder that its pointer file names, in its present
/// and in its former place.
fn lm_studio_roots(settings: &Settings) -> Vec<PathBuf> {
    let Some(home) = settings.environment.user_home() else {
        return Vec::new();
    };
    let mut roots = Vec::new();
    if let Ok(text) = std::fs::read_to_string(home.join(".lmstudio-home-pointer"))
        && !text.trim().is_empty()
    {
        roots.push(Path::new(text.trim()).join("models"));
    }
    for root in [
        home.join(".lmstudio/models"),
        home.join(".cache/lm-studio/models"),
    ] {
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    roots
}

/// All models in the folders, each by its first file, in the order of the folders and by path.
pub(crate) fn all(settings: &Settings) -> Vec<FolderModel> {
    let mut found: Vec<FolderModel> = Vec::new();
    for folder in searched(settings) {
        let mut paths = Vec::new();
        collect(&folder.root, 0, &mut paths);
        paths.sort();
        for path in paths {
            if !found.iter().any(|known| known.path == path) {
                found.push(FolderModel {
                    path,
                    source: folder.source.clone(),
                });
            }
        }
    }
    found
}

/// The model of this name: of the file with or without its ending, in any case of letters.
pub(crate) fn find(word: &str, settings: &Settings) -> Option<FolderModel> {
    all(settings).into_iter().find(|model| {
        let file = model.path.file_name().unwrap_or_default().to_string_lossy();
        file.eq_ignore_ascii_case(word) || local::stem(&model.path).eq_ignore_ascii_case(word)
    })
}

/// The model of a hub repository that LM Studio has fetched.
pub(crate) fn find_repository(
    repo: &str,
    choice: &HubChoice,
    settings: &Settings,
) -> Option<FolderModel> {
    lm_studio_roots(settings).into_iter().find_map(|root| {
        let folder = root.join(repo);
        let mut paths = Vec::new();
        collect(&folder, 0, &mut paths);
        paths.sort();
        let names: Vec<&str> = paths
            .iter()
            .filter_map(|path| path.strip_prefix(&folder).ok()?.to_str())
            .collect();
        let chosen = match choice {
            HubChoice::Default => files::default_model(&names),
            HubChoice::Quant(quant) => files::of_quant(&names, quant),
            HubChoice::File(file) => names.iter().copied().find(|name| name == file),
        }?;
        Some(FolderModel {
            path: folder.join(chosen),
            source: ModelSource::LmStudio,
        })
    })
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if depth < DEEPEST {
                collect(&path, depth + 1, found);
            }
            continue;
        }
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let first = files::FileName::read(&name)
            .is_some_and(|parsed| parsed.count <= 1 || parsed.index == 1);
        if first && files::is_model(&name) {
            found.push(path);
        }
    }
}
