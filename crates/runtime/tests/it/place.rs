//! What the tests of this crate share.

use llamatelemetry_progress::{Progress, Silent, Task, TaskHandle};
use llamatelemetry_runtime::{Attempt, RuntimeError, Step, Verdict};
use llamatelemetry_settings::Settings;
use llamatelemetry_testbed as testbed;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Settings of a home of the test's own, for the processor alone so that the test is the same on
/// every machine, and with a release interface that is not there.
pub(crate) fn settings(home: &testbed::ScratchHome) -> Settings {
    let mut settings = home.settings();
    settings.runtime.backend = llamatelemetry_settings::BackendChoice::Cpu;
    // Nothing listens on the discard port of the loopback.
    settings.network.mirrors.releases = Some("http://127.0.0.1:9".to_owned());
    settings
}

/// A home without compilers, Python or any `llama-server` on its `PATH`.
pub(crate) fn bare_home() -> testbed::ScratchHome {
    testbed::scratch_home().with("PATH", "/nonexistent")
}

/// Writes a shell script that may be executed.
pub(crate) fn script(path: &Path, text: &str) -> PathBuf {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    executable(path);
    path.to_path_buf()
}

pub(crate) fn executable(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A `llama-server` that answers the simple questions and then does this with everything else.
pub(crate) fn stub(path: &Path, otherwise: &str) -> PathBuf {
    let text = format!(
        "case \"$1\" in\n\
         --version) echo 'version: 0.6.0-dev (build 11434, commit stub)'; exit 0;;\n\
         --list-devices) echo 'Available devices:'; echo '  (none)'; exit 0;;\n\
         --help) exec '{}' --help;;\n\
         esac\n{otherwise}",
        server().display()
    );
    script(path, &text)
}

/// A real one, for tests of what comes after the proof.
pub(crate) fn server() -> PathBuf {
    testbed::runtime().server
}

/// The attempts of a bootstrap that found nothing.
pub(crate) fn attempts(error: &RuntimeError) -> &[Attempt] {
    match error {
        RuntimeError::NoneUsable { attempts, .. } => attempts,
        other => panic!("{other}"),
    }
}

/// Verdict and reason of the first attempt with this source.
pub(crate) fn verdict(attempts: &[Attempt], step: Step) -> (Verdict, &str) {
    attempts
        .iter()
        .find(|attempt| attempt.step == step)
        .map_or_else(
            || panic!("{step:?} was not tried: {attempts:?}"),
            |attempt| (attempt.verdict, attempt.reason.as_str()),
        )
}

/// Keeps what it was told.
#[derive(Debug, Default)]
pub(crate) struct Kept(Mutex<Vec<String>>);

impl Kept {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Progress for Kept {
    fn begin(&self, task: Task) -> Box<dyn TaskHandle> {
        self.0.lock().unwrap().push(task.title);
        Box::new(Silent)
    }
    fn note(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}
