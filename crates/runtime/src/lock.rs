//! The lock file: what was chosen, from what, and what the choice depended on.
//!
//! `runtime.lock.json` in the home folder. As long as nothing that the choice depended on has
//! changed, and the binary is the one that was proved, it is used without asking anything else.

use crate::build::cuda;
use crate::proof::{Stamp, now};
use crate::sources::Sources;
use crate::{Runtime, RuntimeError, files};
use llamatelemetry_machine::{Machine, cpu_identity, driver_identity};
use llamatelemetry_settings::{BackendChoice, Settings};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const SCHEMA_VERSION: u32 = 1;

/// What a choice depended on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    /// The path the user set, and the stamp of what lies there.
    server_path: Option<(PathBuf, Option<Stamp>)>,
    source: Option<PathBuf>,
    backend: String,
    cpu: String,
    driver: Option<String>,
    nvcc: Option<PathBuf>,
    pinned_build: u32,
}

impl Inputs {
    pub(crate) fn now(settings: &Settings, sources: &Sources) -> Self {
        let runtime = &settings.runtime;
        Self {
            server_path: runtime
                .server_path
                .as_ref()
                .map(|path| (path.clone(), Stamp::of(path, &[]).ok())),
            source: runtime.source.clone(),
            backend: match runtime.backend {
                BackendChoice::Auto => "auto",
                BackendChoice::Cpu => "cpu",
                BackendChoice::Cuda => "cuda",
            }
            .to_owned(),
            cpu: cpu_identity().to_owned(),
            driver: driver_identity(),
            nvcc: cuda::find_nvcc(&settings.environment).ok(),
            pinned_build: sources.build.number,
        }
    }
}

impl Inputs {
    /// Whether a choice made from these would be made again from those. A source that was named
    /// once, to install from, need not be named again.
    fn hold_for(&self, now: &Self) -> bool {
        let mut then = self.clone();
        if now.source.is_none() {
            then.source = None;
        }
        then == *now
    }
}

/// The machine as it was, for whoever reads the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct MachineNote {
    cpu: Option<String>,
    glibc: Option<String>,
    gpus: Vec<String>,
    cuda: Option<(u32, u32)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LockFile {
    schema_version: u32,
    written_at: u64,
    inputs: Inputs,
    machine: MachineNote,
    runtime: Runtime,
}

fn path(settings: &Settings) -> PathBuf {
    settings.home.root().join("runtime.lock.json")
}

/// The runtime that was chosen, whatever has changed since.
pub(crate) fn recorded(settings: &Settings) -> Option<Runtime> {
    read(settings).map(|lock| lock.runtime)
}

/// The runtime that was chosen, if it would be chosen again.
pub(crate) fn current(settings: &Settings, inputs: &Inputs) -> Option<Runtime> {
    let lock = read(settings)?;
    let proof = &lock.runtime.proof;
    let same = lock.inputs.hold_for(inputs)
        && proof.cpu == inputs.cpu
        && proof.driver == inputs.driver
        && Stamp::of(&lock.runtime.server, &lock.runtime.library_dirs).ok()? == proof.stamp;
    same.then_some(lock.runtime)
}

fn read(settings: &Settings) -> Option<LockFile> {
    let text = std::fs::read(path(settings)).ok()?;
    let lock: LockFile = serde_json::from_slice(&text).ok()?;
    (lock.schema_version == SCHEMA_VERSION).then_some(lock)
}

/// Records a choice.
pub(crate) fn write(
    settings: &Settings,
    inputs: &Inputs,
    machine: &Machine,
    runtime: &Runtime,
) -> Result<(), RuntimeError> {
    settings.home.ensure(settings.home.root().to_path_buf())?;
    let lock = LockFile {
        schema_version: SCHEMA_VERSION,
        written_at: now(),
        inputs: inputs.clone(),
        machine: MachineNote {
            cpu: machine.cpu.model.clone(),
            glibc: machine.glibc.clone(),
            gpus: machine.gpus().iter().map(|gpu| gpu.name.clone()).collect(),
            cuda: machine
                .gpus
                .as_ref()
                .ok()
                .and_then(|found| found.cuda_version),
        },
        runtime: runtime.clone(),
    };
    files::write_json(&path(settings), &lock)
}

/// Forgets the choice.
pub(crate) fn forget(settings: &Settings) -> Result<(), RuntimeError> {
    let path = path(settings);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(RuntimeError::io("remove", &path, error))
        }
        _ => Ok(()),
    }
}
