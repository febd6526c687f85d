//! What this version of ours is made for, for those who tell it to people.

use crate::sources::Sources;
use llamatelemetry_settings::Settings;

/// Number of the llama.cpp build that is fetched or built; `None` if the built-in list of sources
/// is damaged.
pub fn pinned_build() -> Option<u32> {
    Some(Sources::built_in().ok()?.build.number)
}

/// Address of the release's document: the mirror's, if the settings name one.
pub fn release_address(settings: &Settings) -> Option<String> {
    let release = Sources::built_in().ok()?.release;
    let base = settings.network.mirrors.releases.as_deref();
    let base = base.unwrap_or(&release.interface).trim_end_matches('/');
    Some(format!("{base}{}", release.path))
}
