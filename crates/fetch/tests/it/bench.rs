//! What the tests stand on: a scratch home, a server, a fetcher with little patience.

use llamatelemetry_fetch::{Download, Fetcher, Patience, Reachability};
use llamatelemetry_settings::Settings;
use llamatelemetry_testbed::{FileServer, ScratchHome, scratch_home};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// One MiB.
pub(crate) const MIB: u64 = 1 << 20;
/// The smallest part, as the crate cuts them.
pub(crate) const PART: u64 = 4 * MIB;

/// Patience for tests: fails fast, but only after trying again.
pub(crate) const PATIENCE: Patience = Patience {
    stall: Duration::from_millis(800),
    attempts: 3,
    pause: Duration::from_millis(10),
};

pub(crate) struct Bench {
    pub(crate) scratch: ScratchHome,
    pub(crate) server: FileServer,
}

pub(crate) fn bench() -> Bench {
    Bench {
        scratch: scratch_home(),
        server: FileServer::start().expect("a port"),
    }
}

impl Bench {
    pub(crate) fn settings(&self) -> Settings {
        self.scratch.settings()
    }

    pub(crate) fn fetcher(&self) -> Fetcher {
        fetcher(&self.settings())
    }

    pub(crate) fn target(&self, name: &str) -> PathBuf {
        self.scratch.root().join("files").join(name)
    }

    /// A download of a path of the server without known size or digest.
    pub(crate) fn download(&self, path: &str) -> Download {
        download(self.server.url(path), self.target("file"))
    }

    /// The file of this ending in the folder of downloads under way.
    pub(crate) fn left_over_as(&self, ending: &str) -> PathBuf {
        self.left_over()
            .iter()
            .map(|name| self.scratch.home().downloads().join(name))
            .find(|path| path.extension().is_some_and(|have| have == ending))
            .expect("something is left over")
    }

    /// What lies in the folder of downloads under way.
    pub(crate) fn left_over(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.scratch.home().downloads())
            .map(|entries| {
                entries
                    .flatten()
                    .map(|entry| entry.file_name().to_string_lossy().into_owned())
                    .collect()
            })
            .unwrap_or_default();
        names.sort();
        names
    }
}

pub(crate) fn fetcher(settings: &Settings) -> Fetcher {
    Fetcher::new(settings)
        .expect("a fetcher")
        .with_patience(PATIENCE)
        .with_reachability(Reachability::fresh())
}

pub(crate) fn download(url: String, target: PathBuf) -> Download {
    Download {
        url,
        headers: Vec::new(),
        sha256: None,
        size: None,
        target,
        title: "the file".to_owned(),
    }
}

/// Bytes that look random and are the same every time.
pub(crate) fn bytes(length: u64, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = usize::try_from(length.div_ceil(8)).expect("a length that fits");
    let mut bytes = Vec::with_capacity(8 * words);
    for _ in 0..words {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(usize::try_from(length).expect("a length that fits"));
    bytes
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes it");
            text
        })
}
