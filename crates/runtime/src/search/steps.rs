//! Each source, tried or judged.

use super::programs::{foreign, libraries_beside, program_at, wrong_backend};
use super::{Mode, Search, Want};
use crate::attempt::{Step, Verdict};
use crate::build::Plan;
use crate::child::on_path;
use crate::proof;
use crate::release;
use crate::store::{self, Made, assemble};
use crate::{Backend, Runtime, Source};
use llamatelemetry_settings::BackendChoice;
use std::path::PathBuf;

impl Search<'_> {
    pub(super) fn user_path(&mut self, want: &Want) {
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

    pub(super) fn store(&mut self, want: &Want) {
        let step = Step::Store;
        let mut entries = match store::entries(self.settings) {
            Ok(entries) => entries,
            Err(error) => {
                let subject = self.settings.home.runtimes().display().to_string();
                return self.fail(step, want, subject, error);
            }
        };
        if entries.is_empty() {
            self.note(step, "-", want, Verdict::Skipped, "it is empty");
        }
        // Those made or proved for this processor first, and of them the newest.
        entries.sort_by_cached_key(|(_, runtime)| {
            let newest_first = std::cmp::Reverse(runtime.proof.proved_at);
            (!proof::still_holds(runtime), newest_first)
        });
        for (_, runtime) in entries {
            if self.done() {
                return;
            }
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
            (None, _) => {
                let pinned = self.sources.build.number;
                (runtime.build.number != Some(pinned) && !self.any_build)
                    .then(|| format!("it is {}, and b{pinned} is wanted", runtime.build.text))
            }
        }
    }

    pub(super) fn search_path(&mut self, want: &Want) {
        let step = Step::SearchPath;
        if self.source_is_set(step, want) {
            return;
        }
        let cuda_only = self.settings.runtime.backend == BackendChoice::Cuda;
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
            if self.done() {
                return;
            }
            let library_dirs = libraries_beside(&server);
            match self.prove(&server, &library_dirs) {
                Ok(proved)
                    if (cuda_only && proved.backend != Backend::Cuda)
                        || (proved.backend == Backend::Cpu && want.backend != Backend::Cpu) =>
                {
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

    pub(super) fn release(&mut self, want: &Want) {
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

    pub(super) fn build(&mut self, want: &Want) {
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
        if let Some((_, runtime)) = store::find(self.settings, &plan.identity)
            && proof::still_holds(&runtime)
        {
            return self.take(step, want, runtime, "was built before");
        }
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
