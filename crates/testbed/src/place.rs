//! Where the testbed keeps what tests share.

use crate::environment::process;
use llamatelemetry_settings::{FileLock, Home};
use std::path::{Path, PathBuf};

/// The repository's root folder.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The folder that the testbed owns: `target/testbed`. Everything in it can be made again.
pub fn folder() -> PathBuf {
    let target = process().get_os("CARGO_TARGET_DIR").map_or_else(
        || repository().join("target"),
        |target| repository().join(target),
    );
    let folder = target.join("testbed");
    std::fs::create_dir_all(&folder)
        .unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
    folder.canonicalize().unwrap_or(folder)
}

/// The home that all tests share, with a runtime and a model in it: `LLAMATELEMETRY_TEST_HOME`,
/// else `target/testbed/home`. Tests read it and never change it; a test that installs, removes
/// or downloads takes a [`scratch_home`](crate::scratch_home) instead.
pub fn home() -> Home {
    Home::new(
        process()
            .get_os("LLAMATELEMETRY_TEST_HOME")
            .map_or_else(|| folder().join("home"), PathBuf::from),
    )
}

/// Held while something shared is made; apart from the locks that the product takes itself.
pub(crate) fn lock(name: &str) -> FileLock {
    home()
        .lock(&format!("testbed-{name}"), || {})
        .expect("a lock in the shared home")
}
