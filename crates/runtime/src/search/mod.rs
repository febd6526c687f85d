//! The search: each source in its order, for each back end that is wanted, until one passes.

mod programs;
mod steps;

use crate::attempt::{Attempt, Step, Verdict};
use crate::proof::{self, Proved, Refusal, with_sources};
use crate::sources::Sources;
use crate::{Backend, Runtime, RuntimeError};
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
    /// Nothing of the pinned build can be had: another build in the store is better than none.
    any_build: bool,
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
            any_build: false,
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
                if self.done() {
                    break 'wants;
                }
            }
        }
        if self.chosen.is_none() && self.mode == Mode::Make && self.only.is_none() {
            self.any_build = true;
            for want in wants
                .iter()
                .filter(|_| self.settings.runtime.source.is_none())
            {
                if !self.done() {
                    self.store(want);
                }
            }
        }
        Found {
            attempts: self.attempts,
            chosen: self.chosen,
            last_error: self.last_error,
        }
    }

    fn done(&self) -> bool {
        self.chosen.is_some() && self.mode == Mode::Make
    }

    fn note(
        &mut self,
        step: Step,
        subject: impl Into<String>,
        want: &Want,
        verdict: Verdict,
        reason: impl Into<String>,
    ) {
        if self.any_build && verdict == Verdict::Skipped {
            // Said before, in the first round.
            return;
        }
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
}
