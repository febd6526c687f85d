//! The folder in which a runtime is built, and what compilers find there.

use super::ninja::{self, BuildStep};
use super::tools::Tools;
use super::{Plan, tree_of};
use crate::RuntimeError;
use llamatelemetry_progress::{Progress, Task};
use llamatelemetry_settings::{Environment, Settings};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Memory one compiler takes at the worst; more of them than fit would be killed.
const JOB_MEMORY: u64 = 1 << 30;

/// A configured build tree, locked between processes.
#[derive(Debug)]
pub(super) struct BuildTree<'a> {
    plan: &'a Plan,
    settings: &'a Settings,
    tools: Tools,
    pub(super) source: PathBuf,
    folder: PathBuf,
    log: PathBuf,
    lock: File,
}

impl<'a> BuildTree<'a> {
    /// Locks the tree and has cmake write its plan.
    pub(super) fn configure(
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
    pub(super) fn make(
        &self,
        target: &str,
        progress: &dyn Progress,
    ) -> Result<PathBuf, RuntimeError> {
        let title = format!("building {target}");
        let task = progress.begin(
            Task::steps(format!("{title} for {}", self.plan.backend), None)
                .because(self.plan.origin.source.title()),
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

fn joined(flag: &str, path: &Path) -> OsString {
    let mut flag = OsString::from(flag);
    flag.push(path);
    flag
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_get_what_they_need_and_no_secrets() {
        let theirs = Environment::from_pairs([
            ("PATH", "/bin"),
            ("CXX", "clang++"),
            ("CCACHE_DIR", "/cache"),
            ("https_proxy", "http://proxy"),
            ("HF_TOKEN", "secret"),
            ("MY_API_KEY", "secret"),
            ("LLAMA_BUILD_NUMBER", "7"),
            ("CMAKE_GENERATOR", "Unix Makefiles"),
            ("LC_ALL", "de_DE.UTF-8"),
            ("NINJA_STATUS", "%p"),
        ]);
        let built = environment(&theirs);
        let get = |wanted: &str| {
            let found: Vec<_> = built.iter().filter(|(name, _)| name == wanted).collect();
            assert!(found.len() <= 1, "{wanted} twice");
            found.first().and_then(|(_, value)| value.to_str())
        };
        assert_eq!(get("CXX"), Some("clang++"));
        assert_eq!(get("CCACHE_DIR"), Some("/cache"));
        assert_eq!(get("https_proxy"), Some("http://proxy"));
        for hidden in [
            "HF_TOKEN",
            "MY_API_KEY",
            "LLAMA_BUILD_NUMBER",
            "CMAKE_GENERATOR",
        ] {
            assert_eq!(get(hidden), None);
        }
        assert_eq!(get("LC_ALL"), Some("C.UTF-8"));
        assert_eq!(get("NINJA_STATUS"), Some(ninja::STATUS));
    }
}
