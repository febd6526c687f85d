//! Models that Ollama has fetched: manifests that name blobs, the largest of which is a GGUF.

use crate::context::Context;
use crate::name::is_sha256;
use crate::{LocalModel, ModelError, ModelSource, local};
use llamatelemetry_settings::Settings;
use serde::Deserialize;
use std::path::{Path, PathBuf};

const DEFAULT_HOST: &str = "registry.ollama.ai";
const DEFAULT_NAMESPACE: &str = "library";
const DEFAULT_TAG: &str = "latest";

/// A manifest: what the model is made of.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
}

/// A model in Ollama's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OllamaModel {
    /// Ollama's name of it, as `ollama list` shows it.
    pub(crate) name: String,
    /// The GGUF.
    pub(crate) path: PathBuf,
    /// Its SHA-256 by the manifest.
    pub(crate) sha256: String,
    /// The projector, if there is one.
    pub(crate) projector: Option<PathBuf>,
    /// Whether there is an adapter on top, which is not applied here.
    pub(crate) adapter: bool,
}

impl OllamaModel {
    /// The model in the form that everybody uses.
    pub(crate) fn model(&self, context: &Context<'_>) -> Result<LocalModel, ModelError> {
        let source = ModelSource::Ollama {
            name: self.name.clone(),
        };
        let mut model = local::at(&self.path, Some(&self.name), source, context.memory())?;
        model.projector.clone_from(&self.projector);
        Ok(model)
    }
}

/// The folders that Ollama may keep models in: the one its variable names, else the user's and the
/// system service's.
fn roots(settings: &Settings) -> Vec<PathBuf> {
    if let Some(folder) = settings.environment.get_os("OLLAMA_MODELS") {
        return vec![PathBuf::from(folder)];
    }
    settings
        .environment
        .user_home()
        .map(|home| home.join(".ollama/models"))
        .into_iter()
        .chain([PathBuf::from("/usr/share/ollama/.ollama/models")])
        .collect()
}

/// The model of this name, `[[host/]namespace/]model[:tag]`, if Ollama has it.
pub(crate) fn find(name: &str, settings: &Settings) -> Option<OllamaModel> {
    let (path, tag) = name.rsplit_once(':').unwrap_or((name, DEFAULT_TAG));
    let parts: Vec<&str> = path.split('/').collect();
    let (host, namespace, model) = match parts.as_slice() {
        [model] => (DEFAULT_HOST, DEFAULT_NAMESPACE, *model),
        [namespace, model] => (DEFAULT_HOST, *namespace, *model),
        [host, namespace, model] => (*host, *namespace, *model),
        _ => return None,
    };
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    if ![host, namespace, model, tag].into_iter().all(plain) {
        return None;
    }
    roots(settings)
        .iter()
        .find_map(|root| read(root, [host, namespace, model, tag]))
}

/// All models that Ollama has, sorted by name.
pub(crate) fn all(settings: &Settings) -> Vec<OllamaModel> {
    let mut found = Vec::new();
    for root in roots(settings) {
        let manifests = root.join("manifests");
        for host in names(&manifests) {
            for namespace in names(&manifests.join(&host)) {
                for model in names(&manifests.join(&host).join(&namespace)) {
                    for tag in names(&manifests.join(&host).join(&namespace).join(&model)) {
                        found.extend(read(&root, [&host, &namespace, &model, &tag]));
                    }
                }
            }
        }
    }
    found.sort_by(|left, right| left.name.cmp(&right.name));
    found
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect()
}

fn read(root: &Path, [host, namespace, model, tag]: [&str; 4]) -> Option<OllamaModel> {
    let manifest = root
        .join("manifests")
        .join(host)
        .join(namespace)
        .join(model)
        .join(tag);
    let manifest: Manifest = serde_json::from_slice(&std::fs::read(manifest).ok()?).ok()?;
    let layer = |kind: &str| {
        let kind = format!("application/vnd.ollama.image.{kind}");
        manifest
            .layers
            .iter()
            .find(|layer| layer.media_type == kind)
            .and_then(|layer| layer.digest.strip_prefix("sha256:"))
            .filter(|digest| is_sha256(digest))
    };
    let blob = |digest: &str| root.join("blobs").join(format!("sha256-{digest}"));
    let sha256 = layer("model")?;
    let path = blob(sha256);
    path.is_file().then(|| OllamaModel {
        name: short_name([host, namespace, model, tag]),
        sha256: sha256.to_owned(),
        projector: layer("projector").map(blob).filter(|path| path.is_file()),
        adapter: layer("adapter").is_some(),
        path,
    })
}

/// The name without what goes without saying.
fn short_name([host, namespace, model, tag]: [&str; 4]) -> String {
    let path = if host != DEFAULT_HOST {
        format!("{host}/{namespace}/{model}")
    } else if namespace != DEFAULT_NAMESPACE {
        format!("{namespace}/{model}")
    } else {
        model.to_owned()
    };
    format!("{path}:{tag}")
}
