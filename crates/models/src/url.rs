//! Models at an address.

use crate::context::{Context, Fetching};
use crate::hub;
use crate::store::{Origin, OriginFile};
use crate::{
    HubChoice, HubName, LocalModel, ModelError, ModelSource, UrlName, digest, files, header,
};
use llamatelemetry_fetch::{Download, redacted};
use llamatelemetry_settings::Settings;
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;

/// The hub's file that an address points to, if it is an address of the hub's: the page of the file
/// (`/blob/`) or the file itself (`/resolve/`).
pub(crate) fn as_hub_file(url: &str, settings: &Settings) -> Option<HubName> {
    let endpoint = hub::endpoint(settings);
    let endpoints = [endpoint.as_str(), crate::catalogue::default_hub()];
    let rest = endpoints
        .iter()
        .find_map(|endpoint| url.strip_prefix(endpoint)?.strip_prefix('/'))?;
    let path = rest.split('?').next()?;
    let mut parts = path.splitn(5, '/');
    let (owner, repo) = (parts.next()?, parts.next()?);
    let (view, branch, file) = (parts.next()?, parts.next()?, parts.next()?);
    (["blob", "resolve"].contains(&view) && branch == "main" && !file.contains('%')).then(|| {
        HubName {
            repo: format!("{owner}/{repo}"),
            choice: HubChoice::File(file.to_owned()),
        }
    })
}

/// The model at an address; fetched first if it is not here. All parts of a split model are taken.
pub(crate) fn ensure(name: &UrlName, context: &Context<'_>) -> Result<LocalModel, ModelError> {
    let folder = folder(name, context.settings);
    let shown = redacted(&name.url);
    let here = |context: &Context<'_>| {
        let origin = Origin::read(&folder)?;
        let promised = name.sha256.as_ref();
        promised
            .is_none_or(|sha256| origin.files.iter().any(|file| file.sha256 == *sha256))
            .then(|| origin.model(&folder, context.memory()))
    };
    if context.fetching != Fetching::Newest
        && let Some(model) = here(context)
    {
        header::check(&model.path)?;
        return Ok(model);
    }
    context.may_fetch(&shown)?;
    let lock = format!("model-url-{}", key(&name.url));
    let _lock = context.settings.home.lock(&lock, || {
        context
            .progress
            .note(&format!("waiting for another process that fetches {shown}"));
    })?;
    if context.fetching != Fetching::Newest
        && let Some(model) = here(context)
    {
        return Ok(model);
    }
    context.settings.home.ensure(folder.clone())?;
    let mut fetched_files = Vec::new();
    for (index, url) in parts(&name.url).into_iter().enumerate() {
        let file = file_name(&url);
        let place = folder.join(&file);
        let download = Download {
            url,
            headers: Vec::new(),
            // One digest can be given, and it is that of the file the address names.
            sha256: name.sha256.clone().filter(|_| index == 0),
            size: None,
            // Beside the model that is here: should the address answer with something else, a
            // page of a proxy say, the good file stays.
            target: folder.join(format!("{file}.new")),
            title: file.clone(),
        };
        let fetched = context
            .fetcher()?
            .fetch(&download, context.progress)
            .map_err(|error| hub::offline(error, &shown))?;
        if let Err(error) = header::check(&fetched.path) {
            // What was served is not a model: keeping it would only fail again.
            std::fs::remove_file(&fetched.path)
                .map_err(|source| ModelError::io("remove", &fetched.path, source))?;
            return Err(error);
        }
        std::fs::rename(&fetched.path, &place)
            .map_err(|source| ModelError::io("rename to", &place, source))?;
        context.memory().remember(&place, &fetched.sha256)?;
        fetched_files.push(OriginFile {
            file,
            size: fetched.size,
            sha256: fetched.sha256,
        });
    }
    let first = fetched_files.first().map(|file| file.file.clone());
    let origin = Origin {
        name: files::FileName::read(&first.unwrap_or_default())
            .map_or_else(|| shown.clone(), |name| name.prefix),
        source: ModelSource::Url { url: shown },
        files: fetched_files,
    };
    origin.write(&folder)?;
    context.note_fetched();
    Ok(origin.model(&folder, context.memory()))
}

/// One folder an address: two hosts may serve two files of one name.
fn folder(name: &UrlName, settings: &Settings) -> PathBuf {
    settings.home.models().join("url").join(key(&name.url))
}

/// The start of the digest of an address without its query, which may be a signature that changes.
fn key(url: &str) -> String {
    let plain = url.split('?').next().unwrap_or(url);
    let mut text = digest::hex(&Sha256::digest(plain.as_bytes()));
    text.truncate(16);
    text
}

/// The addresses of all parts of the model whose first part this is.
fn parts(url: &str) -> Vec<String> {
    let (path, query) = match url.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (url, String::new()),
    };
    match files::FileName::read(path) {
        Some(name) if name.count > 1 => (1..=name.count)
            .map(|index| format!("{}{query}", name.part(index)))
            .collect(),
        _ => vec![url.to_owned()],
    }
}

/// The file's name in an address.
fn file_name(url: &str) -> String {
    let path = url.split('?').next().unwrap_or(url);
    path.rsplit('/').next().unwrap_or(path).replace("%20", " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_names_of_addresses() {
        let url = "https://h/d/m-00001-of-00002.gguf?k=1";
        assert_eq!(
            parts(url),
            [
                "https://h/d/m-00001-of-00002.gguf?k=1",
                "https://h/d/m-00002-of-00002.gguf?k=1"
            ]
        );
        assert_eq!(file_name(url), "m-00001-of-00002.gguf");
        assert_eq!(key("https://h/m.gguf?sig=1"), key("https://h/m.gguf?sig=2"));
        assert_ne!(key("https://h/m.gguf"), key("https://i/m.gguf"));
    }
}
