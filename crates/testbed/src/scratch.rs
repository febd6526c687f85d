//! A home of a test's own.

use crate::environment::environment;
use llamatelemetry_settings::{Environment, Flags, Home, Settings, resolve};
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A home of a test's own, empty at first and removed with the value.
#[derive(Debug)]
pub struct ScratchHome {
    root: TempDir,
    extra: Vec<(OsString, OsString)>,
}

/// A home of a test's own, empty at first. The model hub's cache and the user's folder lie in it
/// too, so that nothing of the user's is read and nothing is left behind.
pub fn scratch_home() -> ScratchHome {
    let root = tempfile::Builder::new()
        .prefix("lt-")
        .tempdir()
        .expect("a temporary folder");
    ScratchHome {
        root,
        extra: Vec::new(),
    }
}

impl ScratchHome {
    /// The temporary folder that holds everything: `home`, `huggingface`, `user`, and whatever
    /// else the test puts there.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The home itself.
    pub fn home(&self) -> Home {
        Home::new(self.root().join("home"))
    }

    /// The same with one more environment variable.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.extra.push((name.into(), value.into()));
        self
    }

    /// The environment that belongs to this home.
    pub fn environment(&self) -> Environment {
        let base = environment(self.root(), &self.root().join("home"));
        Environment::from_pairs(
            base.iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .chain(self.extra.iter().cloned()),
        )
    }

    /// The settings that belong to this home.
    pub fn settings(&self) -> Settings {
        resolve(self.environment(), &Flags::default())
            .expect("the settings of a scratch home")
            .settings
    }

    /// A command that runs in this home's environment and in nothing else's.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let environment = self.environment();
        let mut command = Command::new(program.as_ref());
        command.env_clear().envs(environment.iter());
        command
    }
}

/// The settings of the [shared home](crate::home), the user's own left out.
pub fn settings() -> Settings {
    let home = crate::home();
    resolve(environment(home.root(), home.root()), &Flags::default())
        .expect("the settings of the shared home")
        .settings
}
