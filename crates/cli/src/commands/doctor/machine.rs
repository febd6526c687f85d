//! The system and its GPUs.

use super::{Finding, Status};
use crate::quantity;
use llamatelemetry::machine::{GpuUnavailableCause, Machine};

/// Less free memory than this loads no model worth the name.
const LITTLE_MEMORY: u64 = 500_000_000;

pub(super) fn system(machine: &Machine) -> Finding {
    const CHECK: &str = "system";
    let unknown = || "unknown".to_owned();
    let glibc = machine
        .glibc
        .as_ref()
        .map(|version| format!("glibc {version}"));
    let memory = &machine.memory;
    let available = memory.available.map_or_else(unknown, quantity::bytes);
    let detail = format!(
        "{} {}, kernel {}, {}; {}, {} of memory free",
        machine.os,
        machine.arch,
        machine.kernel.clone().unwrap_or_else(unknown),
        glibc.unwrap_or_else(|| "no glibc".to_owned()),
        quantity::counted(u64::from(machine.cpu.logical), "processor"),
        available,
    );
    match memory.available {
        Some(free) if free < LITTLE_MEMORY => Finding::new(CHECK, Status::Warning, detail)
            .fix(["close other programs: little memory is free"]),
        _ => Finding::good(CHECK, detail),
    }
}

pub(super) fn gpu(machine: &Machine) -> Finding {
    const CHECK: &str = "gpu";
    match &machine.gpus {
        Ok(found) => {
            let names: Vec<&str> = found.gpus.iter().map(|gpu| gpu.name.as_str()).collect();
            let driver = found.driver_version.as_deref().unwrap_or("unknown");
            Finding::good(CHECK, format!("{}; driver {driver}", names.join(", ")))
        }
        Err(missing) => {
            let status = match missing.cause {
                // Most machines have none, and models run on the processor.
                GpuUnavailableCause::NoDriver | GpuUnavailableCause::NoDevices => Status::Note,
                _ => Status::Warning,
            };
            Finding::new(CHECK, status, missing.to_string())
        }
    }
}
