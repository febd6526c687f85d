//! The pinned release's archives: which one fits, checked by digest, unpacked with guards.

mod choose;
mod interface;

use crate::build::cuda::library_file;
use crate::sources::Sources;
use crate::store::{self, Made, Staged};
use crate::{Backend, RuntimeError, Source};
use choose::{Shape, choose};
use interface::{Asset, ReleaseDocument};
use llamatelemetry_fetch::{Download, FetchError, Fetcher, Limits, redacted, unpack};
use llamatelemetry_machine::Machine;
use llamatelemetry_progress::Progress;
use llamatelemetry_settings::Settings;
use std::path::{Component, Path, PathBuf};

/// An archive that fits this machine, with what else it needs.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) archive: Asset,
    /// CUDA's own libraries, where they come in an archive of their own.
    companions: Vec<Asset>,
    backend: Backend,
}

impl Candidate {
    /// Bytes to fetch.
    pub(crate) fn size(&self) -> u64 {
        self.files().map(|asset| asset.size).sum()
    }

    fn files(&self) -> impl Iterator<Item = &Asset> {
        std::iter::once(&self.archive).chain(&self.companions)
    }
}

fn tag(sources: &Sources) -> String {
    format!("b{}", sources.build.number)
}

/// The archives for this machine and back end, best first. Whether any fits is known before
/// anybody is asked.
pub(crate) fn candidates(
    backend: Backend,
    settings: &Settings,
    sources: &Sources,
    machine: &Machine,
) -> Result<Vec<Candidate>, RuntimeError> {
    let (fitting, reasons) = choose(&sources.release.archives, &Shape::of(machine), backend);
    if fitting.is_empty() {
        return Err(RuntimeError::NoArchive { reasons });
    }
    let base = settings
        .network
        .mirrors
        .releases
        .as_deref()
        .unwrap_or(&sources.release.interface);
    let url = format!("{}{}", base.trim_end_matches('/'), sources.release.path);
    if settings.network.offline {
        return Err(FetchError::Offline {
            url: redacted(&url),
        }
        .into());
    }
    let tag = tag(sources);
    let document = ReleaseDocument::fetch(&Fetcher::new(settings)?, &url, &tag)?;
    let mut found = Vec::new();
    let mut first_error = None;
    for rule in fitting {
        let name = format!("llama-{tag}-bin-{}.tar.gz", rule.name);
        let candidate = document.asset(&name).and_then(|archive| {
            // Linux archives with CUDA leave its libraries to an archive of their own.
            let companions = match rule.backend {
                Backend::Cuda => vec![document.asset(&format!("cudart-{name}"))?],
                _ => Vec::new(),
            };
            Ok(Candidate {
                archive,
                companions,
                backend: rule.backend,
            })
        });
        match candidate {
            Ok(candidate) => found.push(candidate),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    match first_error {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

/// Fetches and unpacks a candidate into an empty folder of the store.
pub(crate) fn stage(
    candidate: &Candidate,
    settings: &Settings,
    sources: &Sources,
    progress: &dyn Progress,
) -> Result<(Staged, Made), RuntimeError> {
    let fetcher = Fetcher::new(settings)?;
    let home = &settings.home;
    let downloads = home.ensure(home.downloads())?;
    let digests = candidate.files().map(|asset| asset.sha256.as_str());
    let identity = store::identity(Some(sources.build.number), candidate.backend, digests);
    let staged = Staged::new(settings, &identity)?;
    let programs = staged.folder().join("bin");
    for asset in candidate.files() {
        let archive = fetch(asset, &downloads, &fetcher, progress)?;
        unpack(
            &archive,
            &programs,
            &without_first,
            &Limits::default(),
            progress,
        )?;
        std::fs::remove_file(&archive)
            .map_err(|source| RuntimeError::io("remove", &archive, source))?;
    }
    let server = programs.join("llama-server");
    if !server.is_file() {
        return Err(RuntimeError::NoSource {
            reason: "the archive holds no llama-server".to_owned(),
            path: PathBuf::from(&candidate.archive.name),
        });
    }
    let made = Made {
        server,
        source: Source::Release {
            tag: tag(sources),
            archive: candidate.archive.name.clone(),
            sha256: candidate.archive.sha256.clone(),
        },
        library_dirs: if has_libraries(&programs) {
            vec![programs]
        } else {
            Vec::new()
        },
        flags: Vec::new(),
    };
    Ok((staged, made))
}

fn fetch(
    asset: &Asset,
    downloads: &Path,
    fetcher: &Fetcher,
    progress: &dyn Progress,
) -> Result<PathBuf, RuntimeError> {
    // The name came over the network: it must not lead anywhere.
    let name = Path::new(&asset.name);
    let plain = matches!(
        name.components().collect::<Vec<_>>().as_slice(),
        [Component::Normal(_)]
    );
    if !plain {
        return Err(RuntimeError::Interface {
            reason: format!("it names a file {:?}", asset.name),
            url: redacted(&asset.url),
        });
    }
    let brought = fetcher.fetch(
        &Download {
            url: asset.url.clone(),
            headers: Vec::new(),
            sha256: Some(asset.sha256.clone()),
            size: Some(asset.size),
            target: downloads.join(name),
            title: asset.name.clone(),
        },
        progress,
    )?;
    Ok(brought.path)
}

/// All lies in one folder of the archive; without it.
fn without_first(path: &Path) -> Option<PathBuf> {
    let mut parts = path.components();
    parts.next()?;
    let rest = parts.as_path();
    (!rest.as_os_str().is_empty()).then(|| rest.to_path_buf())
}

fn has_libraries(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| library_file(&entry.file_name()))
    })
}
