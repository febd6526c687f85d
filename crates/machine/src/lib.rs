//! What this machine is, and what it does: processor, memory, C library, GPUs.
//!
//! [`Machine::probe`] looks once and returns plain data, without waiting or keeping a thread;
//! [`Sampler`] keeps one thread that looks again and again. What cannot be found out is `None`, or [`GpuUnavailable`] with a reason that a person
//! can act on. GPUs are found by a [`DeviceProbe`]; NVIDIA's is the first of them.

mod cpu;
mod disk;
mod gpu;
mod memory;
mod nvml;
pub mod sampler;
mod sys;

pub use cpu::{Cpu, cpu_identity};
pub use disk::disk_free;
pub use gpu::{
    DeviceProbe, Gpu, GpuInventory, GpuUnavailable, GpuUnavailableCause, driver_identity,
    probe_gpus,
};
pub use memory::Memory;
pub use nvml::{GpuMemory, Nvml};
pub use sampler::{Sample, Sampler, SamplerConfig};

use serde::Serialize;

/// What this machine is.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Operating system, as Rust names it: `linux`, `macos`.
    pub os: String,
    /// Processor architecture, as Rust names it: `x86_64`, `aarch64`.
    pub arch: String,
    /// Release of the running kernel, as `uname -r` prints it.
    pub kernel: Option<String>,
    /// The processor.
    pub cpu: Cpu,
    /// Main memory.
    pub memory: Memory,
    /// Version of the GNU C library that this process runs with; `None` where there is none.
    pub glibc: Option<String>,
    /// The GPUs, or why there are none to use.
    #[serde(serialize_with = "gpu::serialize_result")]
    pub gpus: Result<GpuInventory, GpuUnavailable>,
}

impl Machine {
    /// Looks at the machine, GPUs included. NVIDIA's library may take some tenths of a second
    /// when no other program keeps the driver awake.
    pub fn probe() -> Self {
        Self::probe_with(&[&Nvml::default()])
    }

    /// The same with other device probes; the first that finds a GPU wins.
    pub fn probe_with(probes: &[&dyn DeviceProbe]) -> Self {
        Self {
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            kernel: sys::kernel_release(),
            cpu: Cpu::probe(),
            memory: Memory::probe(),
            glibc: sys::glibc_version(),
            gpus: probe_gpus(probes),
        }
    }

    /// Version of the GNU C library as numbers, for comparing.
    pub fn glibc_version(&self) -> Option<(u32, u32)> {
        two_numbers(self.glibc.as_deref()?)
    }

    /// The GPUs; none where they are unavailable.
    pub fn gpus(&self) -> &[Gpu] {
        self.gpus.as_ref().map_or(&[], |found| &found.gpus)
    }
}

/// `2.36.1` → `(2, 36)`
fn two_numbers(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let machine = Machine::probe();
        assert_eq!(machine.os, std::env::consts::OS);
        assert!(machine.cpu.logical >= 1);
        let json = serde_json::to_value(&machine).unwrap();
        assert!(json["cpu"]["logical"].is_u64());
        match &machine.gpus {
            Ok(found) => assert_eq!(
                json["gpus"]["gpus"].as_array().unwrap().len(),
                found.gpus.len()
            ),
            Err(missing) => {
                assert!(!missing.reason.is_empty());
                assert_eq!(json["gpus"]["unavailable"], missing.reason);
            }
        }
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn linux_figures_are_there() {
        let machine = Machine::probe();
        assert!(machine.glibc_version().unwrap() >= (2, 17));
        assert!(machine.memory.total.unwrap() > 1 << 26);
        assert!(machine.memory.available.unwrap() <= machine.memory.total.unwrap());
        assert!(machine.kernel.is_some());
    }

    #[test]
    fn versions_are_read_as_two_numbers() {
        assert_eq!(two_numbers("2.36"), Some((2, 36)));
        assert_eq!(two_numbers("2.17.1"), Some((2, 17)));
        assert_eq!(two_numbers("2"), None);
        assert_eq!(two_numbers("two.three"), None);
    }
}
