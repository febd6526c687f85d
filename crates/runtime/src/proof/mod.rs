//! The proof: a binary is run on this machine before it is trusted.
//!
//! Three steps, each of which has been seen to fail where the one before passed: `--version`,
//! `--list-devices`, and a whole completion by a server that loads a tiny model of our own making.
//! The result is remembered by what it depends on, so that the next start costs a few file
//! look-ups.

mod completion;
mod memory;
mod refusal;
mod stamp;
mod version;

pub use refusal::{Refusal, RefusalKind};
pub use stamp::Stamp;

pub(crate) use stamp::hex;

use crate::child::{self, is_program};
use crate::{Backend, Build, Device, RuntimeError};
use llamatelemetry_progress::{Progress, Task};
use llamatelemetry_settings::Settings;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// `--version` loads libraries and prints; a cold network disk may take seconds for that.
const VERSION_LIMIT: Duration = Duration::from_secs(30);
/// The first contact with GPUs can take long on machines with many.
const DEVICES_LIMIT: Duration = Duration::from_secs(120);

/// How a runtime was proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// How a request shows that its waiting is over.
    pub queue_signal: QueueSignal,
    /// The processor it was proved on, by [`llamatelemetry_machine::cpu_identity`].
    pub cpu: String,
    /// Version of the NVIDIA kernel module it was proved with.
    pub driver: Option<String>,
    /// The files it holds for.
    pub stamp: Stamp,
    /// SHA-256 of the program.
    pub sha256: String,
    /// When, in seconds since 1970.
    pub proved_at: u64,
    /// How long the whole proof took, in milliseconds.
    pub took_ms: u64,
    /// How long the server took from launch to ready with the tiny model, in milliseconds.
    pub ready_ms: u64,
}

/// How a streamed request shows that a slot has begun to work on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueSignal {
    /// The response's header arrives at that moment.
    Headers,
    /// It does not show in the header; progress events have to be asked for.
    Progress,
}

/// What a proof found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proved {
    pub(crate) build: Build,
    pub(crate) devices: Vec<Device>,
    pub(crate) backend: Backend,
    pub(crate) proof: Proof,
}

/// Proves a binary, or recalls that it was proved.
pub(crate) fn prove(
    server: &Path,
    library_dirs: &[PathBuf],
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Proved, Refusal> {
    if !server.exists() {
        return Err(Refusal::new(
            RefusalKind::NotAProgram,
            "there is no such file",
        ));
    }
    if !is_program(server) {
        return Err(Refusal::new(
            RefusalKind::NotAProgram,
            "it is not an executable file",
        ));
    }
    let stamp = Stamp::of(server, library_dirs).map_err(|error| not_tried(&error))?;
    let library_path = child::library_path(&settings.environment, library_dirs);
    let key = memory::Key::new(
        server,
        stamp.clone(),
        library_path.to_string_lossy().into_owned(),
    );
    if let Some(result) = memory::recall(&settings.home, &key) {
        return result;
    }
    let result = run(server, library_dirs, stamp, settings, progress);
    memory::remember(&settings.home, &key, &result);
    result
}

fn run(
    server: &Path,
    library_dirs: &[PathBuf],
    stamp: Stamp,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Proved, Refusal> {
    let begun = Instant::now();
    let task = progress.begin(
        Task::steps("trying llama-server", Some(3))
            .because("a binary is used only after it has answered on this machine"),
    );
    let environment = child::plain_environment(&settings.environment, library_dirs);
    let ask = |argument: &str, limit| {
        let finished = child::run(server, &[argument], &environment, limit)
            .map_err(|error| cannot_run(&error))?;
        match refusal::judge(&finished, argument) {
            Some(refused) => Err(refused),
            None => Ok(finished.text()),
        }
    };

    task.detail("--version");
    let text = ask("--version", VERSION_LIMIT)?;
    let build = version::parse_version(&text).ok_or_else(|| {
        Refusal::new(
            RefusalKind::NotLlamaServer,
            "its --version names no llama.cpp version",
        )
        .with_output(&text)
    })?;
    task.at(1);

    task.detail("--list-devices");
    let text = ask("--list-devices", DEVICES_LIMIT)?;
    let devices = version::parse_devices(&text).ok_or_else(|| {
        Refusal::new(
            RefusalKind::NotLlamaServer,
            "its --list-devices prints no list of devices",
        )
        .with_output(&text)
    })?;
    let backend = version::backend_of(&devices);
    task.at(2);

    task.detail("one completion");
    let answered = completion::answer(server, library_dirs, backend, settings)?;
    task.at(3);

    Ok(Proved {
        build,
        devices,
        backend,
        proof: Proof {
            queue_signal: answered.queue_signal,
            cpu: llamatelemetry_machine::cpu_identity().to_owned(),
            driver: llamatelemetry_machine::driver_identity(),
            stamp,
            sha256: digest(server, settings)?,
            proved_at: now(),
            took_ms: millis(begun.elapsed()),
            ready_ms: millis(answered.ready),
        },
    })
}

fn digest(server: &Path, settings: &Settings) -> Result<String, Refusal> {
    llamatelemetry_fetch::HashMemory::open(&settings.home)
        .and_then(|memory| memory.sha256(server, &llamatelemetry_progress::Silent))
        .map_err(|error| not_tried(&error))
}

/// The test itself could not be made, which says nothing about the binary.
fn not_tried(error: &dyn std::error::Error) -> Refusal {
    Refusal::new(RefusalKind::NotTried, with_sources(error))
}

fn cannot_run(error: &RuntimeError) -> Refusal {
    let RuntimeError::Run { source, .. } = error else {
        return not_tried(error);
    };
    match source.raw_os_error() {
        Some(libc::ENOEXEC) => Refusal::new(
            RefusalKind::WrongMachine,
            "it is no program for this kind of machine",
        ),
        Some(libc::EACCES) => Refusal::new(RefusalKind::NotAProgram, "it may not be executed here"),
        // The file is there, so it is the interpreter or loader it names that is missing.
        Some(libc::ENOENT) => Refusal::new(
            RefusalKind::MissingLibrary,
            "the loader or interpreter it needs is not on this machine",
        ),
        _ => not_tried(error),
    }
}

/// An error with all its causes in one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Whether a runtime was proved on this machine with the files that are there now.
pub(crate) fn still_holds(runtime: &crate::Runtime) -> bool {
    let proof = &runtime.proof;
    proof.cpu == llamatelemetry_machine::cpu_identity()
        && proof.driver == llamatelemetry_machine::driver_identity()
        && Stamp::of(&runtime.server, &runtime.library_dirs).is_ok_and(|stamp| stamp == proof.stamp)
}
