//! A home and a hub cache that nobody else uses.

use llamatelemetry_settings::{Environment, Flags, Settings, resolve};
use std::ffi::OsString;
use std::path::PathBuf;
use tempfile::TempDir;

/// A scratch home, with everything that settings read pointing into it.
pub(crate) struct Scratch {
    root: TempDir,
    variables: Vec<(OsString, OsString)>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        let user = root.path().join("user");
        std::fs::create_dir_all(&user).expect("a user folder");
        let mut scratch = Self {
            root,
            variables: Vec::new(),
        };
        let home = scratch.path("home");
        let hub = scratch.path("hf");
        scratch.set("HOME", &user);
        scratch.set("LLAMATELEMETRY_HOME", &home);
        scratch.set("HF_HOME", &hub);
        scratch
    }

    /// A path below the scratch folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Sets a variable of the environment that the settings are resolved from.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.push((name.into(), value.into()));
    }

    /// Takes over a variable of this process, such as those that pip reads.
    pub(crate) fn inherit(&mut self, prefix: &str) {
        let process = Environment::from_process();
        for (name, value) in process.iter() {
            if name.to_string_lossy().starts_with(prefix) {
                self.set(&name.to_string_lossy(), value);
            }
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        let environment = Environment::from_pairs(self.variables.clone());
        resolve(environment, &Flags::default())
            .expect("good settings")
            .settings
    }
}
