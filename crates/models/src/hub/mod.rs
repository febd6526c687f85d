//! Models of the model hub, in the cache that llama.cpp and the hub's own tools share.

mod cache;
mod client;
mod listing;

pub(crate) use cache::{RepoCache, promised_digest};
pub use client::endpoint;
pub(crate) use client::offline;

use crate::context::{Context, Fetching};
use crate::{HubChoice, LocalModel, ModelError, ModelSource, TokenSent, digest, files, header};
use cache::MAIN;
use client::HubClient;
use listing::{Listing, RepoFile};
use llamatelemetry_fetch::{Download, FetchError};
use llamatelemetry_settings::FileLock;
use std::path::PathBuf;

/// What is wanted of the hub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HubRequest<'a> {
    /// What the model shall be called; `None` means by repository and quantization.
    pub(crate) name: Option<&'a str>,
    /// `owner/repo`.
    pub(crate) repo: &'a str,
    /// The commit; `None` means the main branch.
    pub(crate) revision: Option<&'a str>,
    /// Which of its files.
    pub(crate) choice: &'a HubChoice,
    /// The SHA-256 that the catalogue promises.
    pub(crate) sha256: Option<&'a str>,
}

/// The files that make up a model, by their paths in the repository.
struct Plan {
    shards: Vec<String>,
    projector: Option<String>,
}

impl HubRequest<'_> {
    /// The model; fetched first if it is not in the cache.
    pub(crate) fn ensure(&self, context: &Context<'_>) -> Result<LocalModel, ModelError> {
        if context.fetching != Fetching::Newest
            && let Some(found) = self.find(context)
        {
            return found;
        }
        let stays_here = context.may_fetch(&self.shown());
        if let Err(error) = stays_here {
            return self.second_best(context).unwrap_or(Err(error));
        }
        let client = HubClient::new(context.settings, context.fetcher()?);
        match client.listing(self.repo, self.revision.unwrap_or(MAIN)) {
            Ok(listing) => self.fetch(&listing, &client, context),
            Err(error) if is_unreachable(&error) => match self.second_best(context) {
                Some(Ok(model)) => {
                    context.progress.note(&format!(
                        "{error}; using {} from the cache",
                        model.path.display()
                    ));
                    Ok(model)
                }
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// The model if the cache alone shows that it is the one that is meant, and whole.
    fn find(&self, context: &Context<'_>) -> Option<Result<LocalModel, ModelError>> {
        let cache = self.cache(context);
        let commit = match self.revision {
            Some(revision) => revision.to_owned(),
            None => cache.commit(MAIN)?,
        };
        let present = cache.files(&commit);
        let present: Vec<&str> = present.iter().map(String::as_str).collect();
        let plan =
            if let Some(listing) = Listing::recall(&context.settings.home, self.repo, &commit) {
                self.plan(&listing.paths()).ok()?
            } else {
                // Another tool brought these: what else the repository holds is not known.
                let known = match self.choice {
                    HubChoice::Default => files::of_quant(&present, files::DEFAULT_QUANTS[0])?,
                    _ => self.primary(&present)?,
                };
                plan_for(&present, known).ok()?
            };
        (plan.files().all(|file| present.contains(&file))
            && self.keeps_promise(&cache, &commit, &plan, context))
        .then(|| self.model(&cache, &commit, &plan, context))
    }

    /// Whether nothing speaks against the file in the cache being the one whose digest was asked
    /// for: the cache's own name for it, or a digest computed before.
    fn keeps_promise(
        &self,
        cache: &RepoCache,
        commit: &str,
        plan: &Plan,
        context: &Context<'_>,
    ) -> bool {
        let (Some(wanted), [only]) = (self.sha256, plan.shards.as_slice()) else {
            return true;
        };
        let file = cache.snapshot(commit).join(only);
        promised_digest(&file)
            .or_else(|| context.memory().recall(&file))
            .is_none_or(|have| have.eq_ignore_ascii_case(wanted))
    }

    /// The best that the cache has when the hub cannot be asked.
    fn second_best(&self, context: &Context<'_>) -> Option<Result<LocalModel, ModelError>> {
        let cache = self.cache(context);
        let commit = cache.commit(self.revision.unwrap_or(MAIN))?;
        let present = cache.files(&commit);
        let present: Vec<&str> = present.iter().map(String::as_str).collect();
        let plan = plan_for(&present, self.primary(&present)?).ok()?;
        self.keeps_promise(&cache, &commit, &plan, context)
            .then(|| self.model(&cache, &commit, &plan, context))
    }

    fn cache(&self, context: &Context<'_>) -> RepoCache {
        RepoCache::new(&context.settings.models.hub_cache, self.repo)
    }

    /// The request as a name.
    fn shown(&self) -> String {
        match (self.name, self.choice) {
            (Some(name), _) => name.to_owned(),
            (None, HubChoice::Default) => self.repo.to_owned(),
            (None, HubChoice::Quant(quant)) => format!("{}:{quant}", self.repo),
            (None, HubChoice::File(file)) => format!("{}/{file}", self.repo),
        }
    }

    /// The file to load first.
    fn primary<'f>(&self, paths: &[&'f str]) -> Option<&'f str> {
        match self.choice {
            HubChoice::Default => files::default_model(paths),
            HubChoice::Quant(quant) => files::of_quant(paths, quant),
            HubChoice::File(file) => paths.iter().copied().find(|path| path == file),
        }
    }

    fn plan(&self, paths: &[&str]) -> Result<Plan, ModelError> {
        let Some(primary) = self.primary(paths) else {
            let repo = self.repo.to_owned();
            return Err(match self.choice {
                HubChoice::File(file) => ModelError::NoSuchFile {
                    repo,
                    file: file.clone(),
                    available: paths.iter().map(|&path| path.to_owned()).collect(),
                },
                HubChoice::Quant(quant) => ModelError::NoSuchQuant {
                    repo,
                    wanted: format!("quantization {quant}"),
                    available: files::quants(paths),
                },
                HubChoice::Default => ModelError::NoSuchQuant {
                    repo,
                    wanted: "GGUF model".to_owned(),
                    available: files::quants(paths),
                },
            });
        };
        plan_for(paths, primary)
    }

    /// Fetches what is missing of a listing and returns the model.
    fn fetch(
        &self,
        listing: &Listing,
        client: &HubClient<'_>,
        context: &Context<'_>,
    ) -> Result<LocalModel, ModelError> {
        if listing.gated && client.token_sent() == TokenSent::No {
            return Err(client.gated(self.repo));
        }
        let plan = self.plan(&listing.paths())?;
        let cache = self.cache(context);
        for path in plan.files() {
            let file = listing.file(path).ok_or_else(|| ModelError::Hub {
                repo: self.repo.to_owned(),
                reason: format!("it names {path} and then does not"),
            })?;
            if let (Some(expected), Some(actual), [_]) =
                (self.sha256, &file.sha256, plan.shards.as_slice())
                && plan.shards[0] == *path
                && !expected.eq_ignore_ascii_case(actual)
            {
                return Err(ModelError::Replaced {
                    repo: self.repo.to_owned(),
                    expected: expected.to_owned(),
                    actual: actual.clone(),
                });
            }
            let promised = self.sha256.filter(|_| plan.shards == [file.path.as_str()]);
            self.fetch_file(file, promised, &listing.commit, &cache, client, context)?;
        }
        listing.keep(&context.settings.home, self.repo)?;
        if self.revision.is_none() {
            // Only now: until all files are here the older commit stays the usable one.
            cache.write_ref(MAIN, &listing.commit)?;
        }
        self.model(&cache, &listing.commit, &plan, context)
    }

    fn fetch_file(
        &self,
        file: &RepoFile,
        promised: Option<&str>,
        commit: &str,
        cache: &RepoCache,
        client: &HubClient<'_>,
        context: &Context<'_>,
    ) -> Result<PathBuf, ModelError> {
        let oid = file.oid.as_deref().ok_or_else(|| ModelError::Hub {
            repo: self.repo.to_owned(),
            reason: format!("it does not say which object {} is", file.path),
        })?;
        let blob = cache.blob(oid);
        let whole = || {
            std::fs::metadata(&blob)
                .is_ok_and(|metadata| file.size.is_none_or(|size| size == metadata.len()))
        };
        if !whole() {
            let _lock = match cache.lock(oid) {
                Some(path) => Some(self.lock(path, context)?),
                None => None,
            };
            if !whole() {
                let download = Download {
                    url: client.file_url(self.repo, commit, &file.path),
                    headers: client.headers(),
                    sha256: file.sha256.clone().or_else(|| promised.map(str::to_owned)),
                    size: file.size,
                    target: blob.clone(),
                    title: file.path.clone(),
                };
                context
                    .fetcher()?
                    .fetch(&download, context.progress)
                    .map_err(|error| match error {
                        FetchError::Status {
                            status: 401 | 403, ..
                        } => client.gated(self.repo),
                        other => offline(other, &self.shown()),
                    })?;
                context.note_fetched();
            }
        }
        cache.link(commit, &file.path, oid)
    }

    fn lock(&self, path: PathBuf, context: &Context<'_>) -> Result<FileLock, ModelError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| ModelError::io("make the folder", folder, source))?;
        }
        Ok(FileLock::take(path, || {
            context.progress.note(&format!(
                "waiting for another program that fetches {}",
                self.shown()
            ));
        })?)
    }

    fn model(
        &self,
        cache: &RepoCache,
        commit: &str,
        plan: &Plan,
        context: &Context<'_>,
    ) -> Result<LocalModel, ModelError> {
        let snapshot = cache.snapshot(commit);
        let shards: Vec<PathBuf> = plan.shards.iter().map(|file| snapshot.join(file)).collect();
        let projector = plan.projector.as_ref().map(|file| snapshot.join(file));
        let mut size = 0;
        for file in shards.iter().chain(&projector) {
            header::check(file)?;
        }
        for shard in &shards {
            size += std::fs::metadata(shard)
                .map_err(|source| ModelError::io("read", shard, source))?
                .len();
        }
        let file = plan.shards[0].clone();
        Ok(LocalModel {
            name: self
                .name
                .map_or_else(|| display_name(self.repo, &file), str::to_owned),
            path: shards[0].clone(),
            sha256: digest::recall(context.memory(), &shards),
            shards,
            projector,
            size,
            source: ModelSource::Hub {
                repo: self.repo.to_owned(),
                revision: commit.to_owned(),
                file,
            },
        })
    }
}

impl Plan {
    fn files(&self) -> impl Iterator<Item = &str> {
        self.shards
            .iter()
            .chain(&self.projector)
            .map(String::as_str)
    }
}

/// The plan for the model whose first file is known.
fn plan_for(paths: &[&str], primary: &str) -> Result<Plan, ModelError> {
    let (shards, missing) = files::parts(paths, primary);
    if missing.is_empty() {
        Ok(Plan {
            shards,
            projector: files::projector(paths, primary).map(str::to_owned),
        })
    } else {
        Err(ModelError::MissingShards {
            path: PathBuf::from(primary),
            count: u32::try_from(shards.len() + missing.len()).unwrap_or(u32::MAX),
            missing,
        })
    }
}

/// What a file of a repository is called: `owner/repo:Q4_K_M`, as llama.cpp takes it.
pub(crate) fn display_name(repo: &str, file: &str) -> String {
    match files::FileName::read(file) {
        Some(name) if !name.tag.is_empty() => format!("{repo}:{}", name.tag),
        _ => format!("{repo}/{file}"),
    }
}

/// Whether the hub could not be asked at all.
fn is_unreachable(error: &ModelError) -> bool {
    match error {
        ModelError::Fetch(FetchError::Unreachable { .. } | FetchError::Interrupted { .. }) => true,
        ModelError::Fetch(FetchError::Status { status, .. }) => *status >= 500,
        _ => false,
    }
}
