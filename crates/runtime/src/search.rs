//! The search: each source in its order, for each back end that is wanted, until one passes.

use crate::attempt::{Attempt, Step, Verdict};
use crate::build::Plan;
use crate::child::{is_program, on_path};
use crate::proof::{self, Proved, Refusal, RefusalKind, with_sources};
use crate::release;
use crate::sources::Sources;
use crate::store::{self, Made, assemble, foreign_identity};
use crate::{Backend, Runtime, RuntimeError, Source};
use llamatelemetry_machine::Machine;
use llamatelemetry_progress::Progress;
use llamatelemetry_settings::{BackendChoice, Settings};
use std::path::{Path, PathBuf};

/// A back end that is wanted, and why.
#[derive(Debug, Clone)]
pub(crate) struct Want {
    pub(crate) backend: Backend,
    pub(crate) because: String,
}

/// Whether things may be fetched and built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Stop at the first source that passes, making what is missing.
    Make,
    /// Try or judge every source, making nothing.
    Explain,
}

/// One search through the sources.
pub(crate) struct Search<'a> {
    settings: &'a Settings,
    progress: &'a dyn Progress,
    sources: &'a Sources,
    machine: &'a Machine,
    mode: Mode,
    only: Option<Step>,
    attempts: Vec<Attempt>,
    chosen: Option<Runtime>,
    last_error: Option<RuntimeError>,
}

impl std::fmt::Debug for Search<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search")
            .field("mode", &self.mode)
            .field("only", &self.only)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// What a search came to.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) chosen: Option<Runtime>,
    pub(crate) last_error: Option<RuntimeError>,
}

/// The back ends wanted, best first.
pub(crate) fn wants(settings: &Settings, machine: &Machine) -> Vec<Want> {
    let want = |backend, because: String| Want { backend, because };
    match settings.runtime.backend {
        BackendChoice::Cpu => vec![want(Backend::Cpu, "the settings say so".to_owned())],
        BackendChoice::Cuda => vec![want(Backend::Cuda, "the settings say so".to_owned())],
        BackendChoice::Auto => match &machine.gpus {
            Ok(found) => vec![
                want(
                    Backend::Cuda,
                    found.gpus.first().map_or_else(
                        || "a GPU is here".to_owned(),
                        |gpu| format!("{} is here", gpu.name),
                    ),
                ),
                want(
                    Backend::Cpu,
                    "no source has CUDA for this machine".to_owned(),
                ),
            ],
            Err(_) if machine.os == "macos" && machine.arch == "aarch64" => vec![
                want(Backend::Metal, "this is Apple silicon".to_owned()),
                want(
                    Backend::Cpu,
                    "no source has Metal for this machine".to_owned(),
                ),
            ],
            Err(missing) => vec![want(Backend::Cpu, missing.reason.clone())],
        },
    }
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        settings: &'a Settings,
        sources: &'a Sources,
        machine: &'a Machine,
        mode: Mode,
        only: Option<Step>,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            settings,
            progress,
            sources,
            machine,
            mode,
            only,
            attempts: Vec::new(),
            chosen: None,
            last_error: None,
        }
    }

    /// Goes through all sources for all wants.
    pub(crate) fn run(mut self, wants: &[Want]) -> Found {
        'wants: for (round, want) in wants.iter().enumerate() {
            for step in Step::ALL {
                if self.only.is_some_and(|only| only != step) {
                    continue;
                }
                match step {
                    // It is taken as it is, so once is enough.
                    Step::UserPath if round == 0 => self.user_path(want),
                    Step::UserPath => {}
                    Step::Store => self.store(want),
                    Step::SearchPath => self.search_path(want),
                    Step::Release => self.release(want),
                    Step::Build => self.build(want),
                }
                if self.chosen.is_some() && self.mode == Mode::Make {
                    break 'wants;
                }
            }
        }
        Found {
            attempts: self.attempts,
            chosen: self.chosen,
            last_error: self.last_error,
        }
    }

    fn note(
        &mut self,
        step: Step,
        subject: impl Into<String>,
        want: &Want,
        verdict: Verdict,
        reason: impl Into<String>,
    ) {
        let attempt = Attempt {
            step,
            subject: subject.into(),
            backend: want.backend,
            verdict,
            reason: reason.into(),
        };
        tracing::debug!(?attempt, "a source of llama.cpp");
        if self.mode == Mode::Make && verdict == Verdict::Refused {
            let Attempt {
                subject, reason, ..
            } = &attempt;
            self.progress
                .note(&format!("{}: {subject}: {reason}", step.title()));
        }
        self.attempts.push(attempt);
    }

    /// Takes a runtime that passed: the first is chosen, later ones would do.
    fn take(&mut self, step: Step, want: &Want, runtime: Runtime, reason: &str) {
        let verdict = if self.chosen.is_none() {
            Verdict::Chosen
        } else {
            Verdict::Possible
        };
        let subject = runtime.server.display().to_string();
        let reason = format!("{} {reason}", runtime.build.text);
        self.note(step, subject, want, verdict, reason);
        if self.chosen.is_none() {
            self.chosen = Some(runtime);
        }
    }

    fn refuse(&mut self, step: Step, want: &Want, server: &Path, refusal: Refusal) {
        self.note(
            step,
            server.display().to_string(),
            want,
            Verdict::Refused,
            refusal.reason.clone(),
        );
        self.last_error = Some(RuntimeError::Refused {
            refusal,
            server: server.to_path_buf(),
        });
    }

    fn fail(&mut self, step: Step, want: &Want, subject: String, error: RuntimeError) {
        self.note(step, subject, want, Verdict::Refused, with_sources(&error));
        self.last_error = Some(error);
    }

    fn prove(&self, server: &Path, library_dirs: &[PathBuf]) -> Result<Proved, Refusal> {
        proof::prove(server, library_dirs, self.settings, self.progress)
    }

    fn user_path(&mut self, want: &Want) {
        let step = Step::UserPath;
        let Some(path) = self.settings.runtime.server_path.clone() else {
            self.note(step, "-", want, Verdict::Skipped, "it is not set");
            return;
        };
        let server = program_at(&path);
        let library_dirs = libraries_beside(&server);
        let cuda_only = self.settings.runtime.backend == BackendChoice::Cuda;
        match self.prove(&server, &library_dirs) {
            Ok(proved) if cuda_only && proved.backend != Backend::Cuda => {
                self.refuse(step, want, &server, wrong_backend(proved.backend));
            }
            Ok(proved) => {
                let runtime = foreign(server, library_dirs, Source::UserPath { path }, proved);
                self.take(step, want, runtime, "passed the proof");
            }
            Err(refusal) => self.refuse(step, want, &server, refusal),
        }
    }

    fn store(&mut self, want: &Want) {
        let step = Step::Store;
        let entries = match store::entries(self.settings) {
            Ok(entries) => entries,
            Err(error) => {
                let subject = self.settings.home.runtimes().display().to_string();
                return self.fail(step, want, subject, error);
            }
        };
        if entries.is_empty() {
            self.note(step, "-", want, Verdict::Skipped, "it is empty");
        }
        for (_, runtime) in entries {
            let subject = runtime.identity.clone();
            if runtime.backend != want.backend {
                let reason = format!("it is for {}", runtime.backend);
                self.note(step, subject, want, Verdict::Skipped, reason);
                continue;
            }
            if let Some(reason) = self.not_wanted(&runtime) {
                self.note(step, subject, want, Verdict::Skipped, reason);
                continue;
            }
            if proof::still_holds(&runtime) {
                self.take(step, want, runtime, "was proved on this machine");
            } else {
                match self.prove(&runtime.server, &runtime.library_dirs) {
                    Ok(proved) => {
                        let made = Made {
                            server: runtime.server,
                            source: runtime.source,
                            library_dirs: runtime.library_dirs,
                            flags: runtime.flags,
                        };
                        let runtime = assemble(runtime.identity, made, proved);
                        self.take(step, want, runtime, "passed the proof");
                    }
                    Err(refusal) => self.refuse(step, want, &runtime.server.clone(), refusal),
                }
            }
        }
    }

    /// Why an entry of the store is not what the settings and this version ask for.
    fn not_wanted(&self, runtime: &Runtime) -> Option<String> {
        match (&self.settings.runtime.source, &runtime.source) {
            (Some(given), Source::Tree { path, .. } | Source::Archive { path, .. }) => {
                let given = std::path::absolute(given).ok();
                (given.as_ref() != Some(path))
                    .then(|| format!("it was built from {}", path.display()))
            }
            (Some(_), _) => Some("it was not built from the source that is set".to_owned()),
            (None, Source::Tree { .. } | Source::Archive { .. }) => {
                Some("it was built from a source that is no longer set".to_owned())
            }
            (None, _) => {
                let pinned = self.sources.build.number;
                (runtime.build.number != Some(pinned))
                    .then(|| format!("it is {}, and b{pinned} is wanted", runtime.build.text))
            }
        }
    }

    fn search_path(&mut self, want: &Want) {
        let step = Step::SearchPath;
        if self.source_is_set(step, want) {
            return;
        }
        let found: Vec<PathBuf> = on_path(&self.settings.environment, "llama-server").collect();
        if found.is_empty() {
            self.note(
                step,
                "llama-server",
                want,
                Verdict::Skipped,
                "there is none on PATH",
            );
        }
        for server in found {
            let library_dirs = libraries_beside(&server);
            match self.prove(&server, &library_dirs) {
                Ok(proved) if proved.backend == Backend::Cpu && want.backend != Backend::Cpu => {
                    self.refuse(step, want, &server, wrong_backend(proved.backend));
                }
                Ok(proved) => {
                    let source = Source::SearchPath {
                        path: server.clone(),
                    };
                    let runtime = foreign(server, library_dirs, source, proved);
                    self.take(step, want, runtime, "passed the proof");
                }
                Err(refusal) => self.refuse(step, want, &server, refusal),
            }
        }
    }

    /// A source that the user named is built, whatever else lies around.
    fn source_is_set(&mut self, step: Step, want: &Want) -> bool {
        let set = self.settings.runtime.source.is_some();
        if set {
            self.note(
                step,
                "-",
                want,
                Verdict::Skipped,
                "a source to build is set",
            );
        }
        set
    }

    fn release(&mut self, want: &Want) {
        let step = Step::Release;
        if self.source_is_set(step, want) {
            return;
        }
        let subject = format!("b{} for {}", self.sources.build.number, want.backend);
        let candidates =
            match release::candidates(want.backend, self.settings, self.sources, self.machine) {
                Ok(candidates) => candidates,
                Err(error) => return self.fail(step, want, subject, error),
            };
        for candidate in candidates {
            let name = candidate.archive.name.clone();
            if self.mode == Mode::Explain {
                let reason = format!(
                    "would be fetched ({} MiB) and proved",
                    candidate.size() >> 20
                );
                self.note(step, name, want, Verdict::Possible, reason);
                continue;
            }
            let made = release::stage(&candidate, self.settings, self.sources, self.progress);
            match made {
                Ok((staged, made)) => self.settle(step, want, name, staged, made),
                Err(error) => self.fail(step, want, name, error),
            }
            if self.chosen.is_some() {
                return;
            }
        }
    }

    fn build(&mut self, want: &Want) {
        let step = Step::Build;
        let plan = match Plan::new(
            want.backend,
            self.settings,
            self.sources,
            self.machine,
            self.progress,
        ) {
            Ok(plan) => plan,
            Err(error) => {
                let subject = format!("b{} for {}", self.sources.build.number, want.backend);
                return self.fail(step, want, subject, error);
            }
        };
        let subject = format!("{} ({})", plan.identity, plan.source().title());
        if self.mode == Mode::Explain {
            let reason = plan.describe(self.settings, self.sources);
            self.note(step, subject, want, Verdict::Possible, reason);
            return;
        }
        match plan.build(self.settings, self.sources, self.progress) {
            Ok((staged, made)) => self.settle(step, want, subject, staged, made),
            Err(error) => self.fail(step, want, subject, error),
        }
    }

    /// Proves what lies in the staging folder and puts it into the store.
    fn settle(
        &mut self,
        step: Step,
        want: &Want,
        subject: String,
        staged: store::Staged,
        made: Made,
    ) {
        let server = made.server.clone();
        let installed = match self.prove(&made.server, &made.library_dirs) {
            Ok(proved) if proved.backend != want.backend => Err(wrong_backend(proved.backend)),
            Ok(proved) => Ok(staged.install(self.settings, made, proved)),
            Err(refusal) => Err(refusal),
        };
        match installed {
            Ok(Ok(runtime)) => self.take(step, want, runtime, "was made and passed the proof"),
            Ok(Err(error)) => self.fail(step, want, subject, error),
            Err(refusal) => self.refuse(step, want, &server, refusal),
        }
    }
}

fn wrong_backend(backend: Backend) -> Refusal {
    Refusal::new(
        RefusalKind::WrongBackend,
        match backend {
            Backend::Cpu => "it sees no GPU that it can compute with".to_owned(),
            other => format!("it computes with {other}"),
        },
    )
}

fn foreign(server: PathBuf, library_dirs: Vec<PathBuf>, source: Source, proved: Proved) -> Runtime {
    let identity = foreign_identity(&proved.build, proved.backend, &proved.proof.sha256);
    let made = Made {
        server,
        source,
        library_dirs,
        flags: Vec::new(),
    };
    assemble(identity, made, proved)
}

/// A path may name the program, or a folder that holds it.
fn program_at(path: &Path) -> PathBuf {
    ["llama-server", "bin/llama-server"]
        .iter()
        .map(|name| path.join(name))
        .find(|program| path.is_dir() && is_program(program))
        .unwrap_or_else(|| path.to_path_buf())
}

/// Folders of llama.cpp's shared libraries that came with a program: its own, and `lib` beside
/// `bin`. System folders need no mention.
fn libraries_beside(server: &Path) -> Vec<PathBuf> {
    let real = std::fs::canonicalize(server).unwrap_or_else(|_| server.to_path_buf());
    let Some(own) = real.parent() else {
        return Vec::new();
    };
    let beside = own.parent().map(|above| above.join("lib"));
    std::iter::once(own.to_path_buf())
        .chain(beside)
        .filter(|folder| !folder.starts_with("/usr/lib") && !folder.starts_with("/lib"))
        .filter(|folder| {
            std::fs::read_dir(folder).is_ok_and(|entries| {
                entries.flatten().any(|entry| {
                    entry.file_name().to_str().is_some_and(|name| {
                        ["libllama", "libggml"]
                            .iter()
                            .any(|prefix| name.starts_with(prefix))
                    })
                })
            })
        })
        .collect()
}
