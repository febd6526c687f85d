//! A build from source: what is needed for it, what it will be called, and making it.

pub(crate) mod compiler;
pub(crate) mod cuda;
mod flags;
mod ninja;
pub(crate) mod tools;
mod tree;

use crate::sources::Sources;
use crate::store::{self, Made, Staged};
use crate::{Backend, Runtime, RuntimeError, Source};
use compiler::Compilers;
use llamatelemetry_machine::{Machine, cpu_identity, disk_free};
use llamatelemetry_progress::{Progress, Task};
use llamatelemetry_settings::{Environment, Settings};
use ninja::BuildStep;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use tools::Tools;
use tree::Origin;

/// Bytes that a source tree and a build take, with room to spare.
const SPACE_CPU: u64 = 700 << 20;
const SPACE_CUDA: u64 = 3 << 30;
/// Memory one compiler takes at the worst; more of them than fit would be killed.
const JOB_MEMORY: u64 = 1 << 30;

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

/// A configured build tree, locked between processes.
#[derive(Debug)]
struct BuildTree<'a> {
    plan: &'a Plan,
    settings: &'a Settings,
    tools: Tools,
    source: PathBuf,
    folder: PathBuf,
    log: PathBuf,
    lock: File,
}

impl<'a> BuildTree<'a> {
    fn configure(
        plan: &'a Plan,
        settings: &'a Settings,
        tools: Tools,
        source: PathBuf,
        progress: &dyn Progress,
    ) -> Result<Self, RuntimeError> {
        let home = &settings.home;
        let folder = home.ensure(tree_of(settings, &plan.identity))?;
        let lock_path = folder.join("lock");
        let cannot_lock = |source| RuntimeError::io("lock", &lock_path, source);
        let lock = File::create(&lock_path).map_err(cannot_lock)?;
        if lock.try_lock().is_err() {
            progress.note("waiting for another build in the same tree");
            lock.lock().map_err(cannot_lock)?;
        }
        let this = Self {
            log: folder.join("build.log"),
            plan,
            settings,
            tools,
            source,
            folder,
            lock,
        };
        let title = "configuring llama.cpp";
        let task = progress.begin(Task::steps(title, None));
        let mut arguments: Vec<OsString> = vec![
            "-S".into(),
            this.source.clone().into(),
            "-B".into(),
            this.folder.clone().into(),
            "-G".into(),
            "Ninja".into(),
        ];
        arguments.extend(plan.flags.iter().map(OsString::from));
        arguments.extend(plan.compilers.flags());
        arguments.push(joined("-DCMAKE_MAKE_PROGRAM=", &this.tools.ninja));
        if let Some(cuda) = &plan.cuda {
            arguments.push(joined("-DCMAKE_CUDA_COMPILER=", &cuda.nvcc));
        }
        this.step(title, &this.tools.cmake, arguments, &*task)?;
        Ok(this)
    }

    /// Builds a target and returns the program.
    fn make(&self, target: &str, progress: &dyn Progress) -> Result<PathBuf, RuntimeError> {
        let title = format!("building {target}");
        let task = progress.begin(
            Task::steps(format!("{title} for {}", self.plan.backend), None)
                .because(format!("from {}", self.plan.origin.source.title())),
        );
        let arguments = vec![
            "-C".into(),
            self.folder.clone().into(),
            "-j".into(),
            jobs(self.settings).to_string().into(),
            target.into(),
        ];
        self.step(&title, &self.tools.ninja, arguments, &*task)?;
        Ok(self.folder.join("bin").join(target))
    }

    fn step(
        &self,
        title: &str,
        program: &Path,
        arguments: Vec<OsString>,
        task: &dyn llamatelemetry_progress::TaskHandle,
    ) -> Result<(), RuntimeError> {
        ninja::run(
            &BuildStep {
                title,
                program,
                arguments,
                environment: environment(&self.settings.environment),
                log: &self.log,
                lock: &self.lock,
            },
            task,
        )
    }
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

fn joined(flag: &str, path: &Path) -> OsString {
    let mut flag = OsString::from(flag);
    flag.push(path);
    flag
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

/// As many compilers as there are processors, if the memory holds them.
fn jobs(settings: &Settings) -> usize {
    settings.runtime.build_jobs.unwrap_or_else(|| {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let memory = llamatelemetry_machine::Memory::probe();
        let room = [memory.available, memory.limit]
            .into_iter()
            .flatten()
            .min()
            .and_then(|bytes| usize::try_from(bytes / JOB_MEMORY).ok());
        room.map_or(processors, |room| processors.min(room)).max(1)
    })
}

/// The environment of compilers: the user's, for their compilers, caches and proxies, without
/// anything secret and without what would change the build unseen.
pub(crate) fn environment(environment: &Environment) -> Vec<(OsString, OsString)> {
    const SECRETS: &[&str] = &["TOKEN", "SECRET", "PASSWORD", "API_KEY", "CREDENTIAL"];
    const HIDDEN: &[&str] = &[
        "LLAMA_",
        "GGML_",
        "LLAMATELEMETRY_",
        "CMAKE_",
        "NINJA_",
        "LC_",
    ];
    let mut passed: Vec<(OsString, OsString)> = environment
        .iter()
        .filter(|(name, _)| {
            let name = name.to_string_lossy();
            !SECRETS.iter().any(|part| name.contains(part))
                && !HIDDEN.iter().any(|family| name.starts_with(family))
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    // Errors are read by their English words, whatever the user's language.
    passed.push(("LC_ALL".into(), "C.UTF-8".into()));
    passed.push(("NINJA_STATUS".into(), ninja::STATUS.into()));
    passed
}
