//! Bytes that servers take, measured.

use super::replica::Replica;
use llamatelemetry::machine::GpuMemory;
use std::sync::Arc;

/// Measures what servers take.
#[derive(Debug, Clone)]
pub(super) struct Meter {
    /// `None` where no GPU can be asked.
    gpus: Option<Arc<GpuMemory>>,
}

impl Meter {
    /// Loading the driver's library may take some tenths of a second.
    pub(super) fn open() -> Self {
        Self {
            gpus: GpuMemory::open().ok().map(Arc::new),
        }
    }

    /// Measures main memory only.
    pub(super) fn none() -> Self {
        Self { gpus: None }
    }

    /// Bytes of main memory and of GPUs together; `None` where a server cannot be measured, as
    /// one that does not run now. What a driver does not tell of a process is not counted.
    pub(super) fn measure(&self, replicas: &[Arc<Replica>]) -> Option<u64> {
        replicas.iter().map(|replica| self.one(replica)).sum()
    }

    fn one(&self, replica: &Replica) -> Option<u64> {
        let run = replica.run()?;
        let process = run.process();
        let memory = process.footprint()?.memory;
        let gpus = self.gpus.as_ref().and_then(|gpus| gpus.of(process.pid()));
        Some(memory.saturating_add(gpus.unwrap_or(0)))
    }
}
