//! Making room: models that were not used for long are removed, never one that is pinned or used.

use crate::inventory::{self, FoundModel};
use crate::ledger::{self, Ledger};
use crate::wheel::PARTS;
use crate::{ModelError, ModelSource, list, remove};
use llamatelemetry_fetch::abandoned;
use llamatelemetry_settings::Settings;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What is pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneOptions {
    /// Models that were not used for so long are removed.
    pub unused_for: Duration,
    /// Which models are looked at.
    pub scope: Scope,
    /// Only say what would be removed.
    pub dry_run: bool,
}

/// Which models are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those in our home.
    Home,
    /// Those in our home, and those in the hub's cache that we fetched.
    HomeAndHub,
}

/// What was pruned and what was kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// Whether nothing was really removed.
    pub dry_run: bool,
    /// What was removed.
    pub removed: Vec<Pruned>,
    /// What was looked at and kept.
    pub kept: Vec<Kept>,
    /// Bytes that are free again.
    pub freed: u64,
}

impl PruneReport {
    fn unfinished(&mut self, path: PathBuf, bytes: u64) {
        self.freed += bytes;
        self.removed.push(Pruned {
            name: "an unfinished download".to_owned(),
            path,
            bytes,
        });
    }
}

/// Something that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// The model, or what is left of one.
    pub name: String,
    /// Its file or folder.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A model that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The model.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// Why it was kept.
    pub reason: String,
}

/// Removes models that were not used for long, and what unfinished downloads left behind.
pub fn prune(settings: &Settings, options: &PruneOptions) -> Result<PruneReport, ModelError> {
    let ledger = Ledger::read(&settings.home)?;
    let mut report = PruneReport {
        dry_run: options.dry_run,
        ..PruneReport::default()
    };
    for found in list(settings)? {
        let ours = remove::is_ours(&found.model.path, settings);
        let of_hub = matches!(found.model.source, ModelSource::Hub { .. })
            && options.scope == Scope::HomeAndHub
            && ledger.entry(&found.model.path).fetched;
        if ours || of_hub {
            consider(&found, settings, options, &mut report)?;
        }
    }
    leftovers(settings, options, &mut report)?;
    Ok(report)
}

fn consider(
    found: &FoundModel,
    settings: &Settings,
    options: &PruneOptions,
    report: &mut PruneReport,
) -> Result<(), ModelError> {
    let model = &found.model;
    let keep = |reason: &str| Kept {
        name: model.name.clone(),
        path: model.path.clone(),
        bytes: model.size,
        reason: reason.to_owned(),
    };
    if found.pinned {
        report.kept.push(keep("pinned"));
    } else if found.in_use {
        report.kept.push(keep("in use"));
    } else if idle_for(found) < options.unused_for {
        report.kept.push(keep("used lately"));
    } else {
        let bytes = if options.dry_run {
            model.size
        } else {
            match remove::take_away(model, settings) {
                Ok(removed) => removed.bytes,
                // Somebody began to use it just now.
                Err(ModelError::InUse { .. }) => {
                    report.kept.push(keep("in use"));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        };
        report.freed += bytes;
        report.removed.push(Pruned {
            name: model.name.clone(),
            path: model.path.clone(),
            bytes,
        });
    }
    Ok(())
}

/// How long a model was not used; one that never was counts from when its file was written.
fn idle_for(found: &FoundModel) -> Duration {
    match found.last_use {
        Some(last) => Duration::from_secs(ledger::now().saturating_sub(last)),
        None => age(&found.model.path),
    }
}

fn age(path: &Path) -> Duration {
    std::fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
        .and_then(|time| SystemTime::now().duration_since(time).ok())
        .unwrap_or_default()
}

/// What a download that never ended left behind. One that is not so old may still go on.
const LEFT_BEHIND: Duration = Duration::from_secs(24 * 3600);

fn leftovers(
    settings: &Settings,
    options: &PruneOptions,
    report: &mut PruneReport,
) -> Result<(), ModelError> {
    for folder in inventory::our_folders(settings) {
        let parts = folder.join(PARTS);
        if !parts.is_dir() || age(&parts) < LEFT_BEHIND {
            continue;
        }
        let bytes = weigh(&parts);
        if !options.dry_run {
            std::fs::remove_dir_all(&parts)
                .map_err(|source| ModelError::io("remove", &parts, source))?;
        }
        report.unfinished(parts, bytes);
    }
    for left in abandoned(&settings.home, LEFT_BEHIND)? {
        if options.dry_run || left.remove(&settings.home)? {
            report.unfinished(left.path, left.bytes);
        }
    }
    Ok(())
}

fn weigh(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}
