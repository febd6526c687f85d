//! A build from source: what is needed for it, what it will be called, and making it.

pub(crate) mod compiler;
pub(crate) mod cuda;
mod flags;
mod ninja;
pub(crate) mod tools;
mod tree;
mod workshop;

pub(crate) use workshop::environment;

use crate::sources::Sources;
use crate::store::{self, Made, Staged};
use crate::{Backend, Runtime, RuntimeError, Source};
use compiler::Compilers;
use llamatelemetry_machine::{Machine, cpu_identity, disk_free};
use llamatelemetry_progress::Progress;
use llamatelemetry_settings::Settings;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tree::Origin;
use workshop::BuildTree;

/// Bytes that a source tree and a build take, with room to spare.
const SPACE_CPU: u64 = 700 << 20;
const SPACE_CUDA: u64 = 3 << 30;

/// Everything that is known before anything is fetched.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) identity: String,
    pub(crate) backend: Backend,
    origin: Origin,
    compilers: Compilers,
    cuda: Option<cuda::CudaToolkit>,
    flags: Vec<String>,
}

impl Plan {
    /// Checks what a build needs that cannot be fetched, cheapest first: a compiler, CUDA's
    /// compiler and a GPU if it is for one, room on disk.
    pub(crate) fn new(
        backend: Backend,
        settings: &Settings,
        sources: &Sources,
        machine: &Machine,
        progress: &dyn Progress,
    ) -> Result<Self, RuntimeError> {
        let compilers = compiler::find(settings)?;
        let cuda = match backend {
            Backend::Cuda => Some(cuda::find(&settings.environment, machine)?),
            _ => None,
        };
        check_space(settings, backend)?;
        let origin = tree::origin(settings, sources, progress)?;
        let capabilities = cuda
            .as_ref()
            .map_or_else(BTreeSet::new, |cuda| cuda.capabilities.clone());
        let flags = flags::flags(
            backend,
            &capabilities,
            origin.number,
            origin.commit.as_deref(),
        );
        let mut parts: Vec<&str> = vec![&origin.digest, &compilers.version, cpu_identity()];
        parts.extend(flags.iter().map(String::as_str));
        parts.extend(cuda.as_ref().and_then(|cuda| cuda.version.as_deref()));
        parts.extend(
            ["CFLAGS", "CXXFLAGS", "CUDAFLAGS", "LDFLAGS"]
                .iter()
                .filter_map(|name| settings.environment.get(name)),
        );
        let identity = store::identity(origin.number, backend, parts);
        Ok(Self {
            identity,
            backend,
            origin,
            compilers,
            cuda,
            flags,
        })
    }

    /// Where the source comes from, for a person.
    pub(crate) fn source(&self) -> &Source {
        &self.origin.source
    }

    /// What would be fetched, and with what it would be built.
    pub(crate) fn describe(&self, settings: &Settings, sources: &Sources) -> String {
        let missing: Vec<&str> = sources
            .tools
            .iter()
            .filter(|tool| tools::find(tool, settings).is_none())
            .map(|tool| tool.name.as_str())
            .collect();
        let cuda = self.cuda.as_ref().map_or_else(String::new, |cuda| {
            let version = cuda.version.as_deref().unwrap_or("of unknown version");
            format!(" and CUDA {version}")
        });
        let fetched = if missing.is_empty() {
            String::new()
        } else {
            let missing = missing.join(" and ");
            format!("; {missing} would be fetched from the package registry")
        };
        format!(
            "can be built with {}{cuda}{fetched}",
            self.compilers.version
        )
    }

    /// Fetches what is missing, builds `llama-server` and puts it into an empty folder of the store.
    pub(crate) fn build(
        &self,
        settings: &Settings,
        sources: &Sources,
        progress: &dyn Progress,
    ) -> Result<(Staged, Made), RuntimeError> {
        let tree = self.prepare(settings, sources, progress)?;
        let built = tree.make("llama-server", progress)?;
        let staged = Staged::new(settings, &self.identity)?;
        let server = staged.folder().join("bin/llama-server");
        copy(&built, &server)?;
        copy(
            &tree.source.join("LICENSE"),
            &staged.folder().join("LICENSE"),
        )?;
        let made = Made {
            server,
            source: self.origin.source.clone(),
            library_dirs: self
                .cuda
                .as_ref()
                .map_or_else(Vec::new, |cuda| cuda.library_dirs.clone()),
            flags: self.flags.clone(),
        };
        Ok((staged, made))
    }

    /// Source and tools side by side, then cmake.
    fn prepare<'a>(
        &'a self,
        settings: &'a Settings,
        sources: &Sources,
        progress: &dyn Progress,
    ) -> Result<BuildTree<'a>, RuntimeError> {
        let (tools, source) = std::thread::scope(|scope| {
            let tools = std::thread::Builder::new()
                .name("build-tools".to_owned())
                .spawn_scoped(scope, || tools::get(settings, sources, progress));
            let source = tree::materialize(&self.origin, settings, progress);
            let tools = match tools {
                Ok(thread) => thread.join().unwrap_or_else(|_| {
                    Err(RuntimeError::Sources {
                        reason: "the thread that fetches build tools died".to_owned(),
                    })
                }),
                Err(_) => tools::get(settings, sources, progress),
            };
            (tools, source)
        });
        BuildTree::configure(self, settings, tools?, source?, progress)
    }
}

/// The folder in which a runtime is built. It may be thrown away at any time.
pub(crate) fn tree_of(settings: &Settings, identity: &str) -> PathBuf {
    settings.home.cache().join("builds").join(identity)
}

/// Builds one more program of a runtime that was built here, with the flags it was built with.
pub(crate) fn companion(
    runtime: &Runtime,
    target: &str,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<PathBuf, RuntimeError> {
    let sources = Sources::built_in()?;
    let plan = plan_of(runtime, settings, &sources, progress)?;
    plan.prepare(settings, &sources, progress)?
        .make(target, progress)
}

/// The source tree of a runtime that was built here.
pub(crate) fn source_of(
    runtime: &Runtime,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<PathBuf, RuntimeError> {
    let origin = if runtime.flags.is_empty() {
        // It was not built here, so there is no tree of its own.
        tree::origin(settings, &Sources::built_in()?, progress)?
    } else {
        recorded_origin(runtime)
    };
    tree::materialize(&origin, settings, progress)
}

fn recorded_origin(runtime: &Runtime) -> Origin {
    let digest = match &runtime.source {
        Source::Package { sha256, .. }
        | Source::Archive { sha256, .. }
        | Source::Tree { sha256, .. }
        | Source::Release { sha256, .. } => sha256.clone(),
        Source::UserPath { .. } | Source::SearchPath { .. } => String::new(),
    };
    Origin {
        source: runtime.source.clone(),
        digest,
        number: runtime.build.number,
        commit: runtime.build.commit.clone(),
    }
}

fn plan_of(
    runtime: &Runtime,
    settings: &Settings,
    sources: &Sources,
    progress: &dyn Progress,
) -> Result<Plan, RuntimeError> {
    if runtime.flags.is_empty() {
        // It was not built here; its tools are those of the pinned build for the same devices.
        return Plan::new(
            runtime.backend,
            settings,
            sources,
            &Machine::probe(),
            progress,
        );
    }
    let cuda = match runtime.backend {
        Backend::Cuda => Some(cuda::find(&settings.environment, &Machine::probe())?),
        _ => None,
    };
    Ok(Plan {
        identity: runtime.identity.clone(),
        backend: runtime.backend,
        origin: recorded_origin(runtime),
        compilers: compiler::find(settings)?,
        cuda,
        flags: runtime.flags.clone(),
    })
}

/// A copy at its place, with its rights.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), RuntimeError> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|source| RuntimeError::io("write to", folder, source))?;
    }
    // Beside its place first: a program that is only half there must not be found.
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    std::fs::copy(from, &part)
        .and_then(|_bytes| std::fs::rename(&part, to))
        .map_err(|source| RuntimeError::io("copy to", to, source))
}

fn check_space(settings: &Settings, backend: Backend) -> Result<(), RuntimeError> {
    let needed = if backend == Backend::Cuda {
        SPACE_CUDA
    } else {
        SPACE_CPU
    };
    let path = settings.home.root().to_path_buf();
    let available =
        disk_free(&path).map_err(|source| RuntimeError::io("look at", &path, source))?;
    if available < needed {
        return Err(RuntimeError::NoSpace {
            needed,
            available,
            path,
        });
    }
    Ok(())
}
