//! NVIDIA GPUs through the driver's own management library, loaded at run time.

use crate::gpu::{DeviceProbe, Gpu, GpuInventory, GpuUnavailable, GpuUnavailableCause};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use std::ffi::OsString;

/// Places in which the driver puts its library, the loader's own search first.
const LIBRARIES: &[&str] = &[
    "libnvidia-ml.so.1",
    "libnvidia-ml.so",
    "/usr/lib/wsl/lib/libnvidia-ml.so.1",
    "/usr/local/nvidia/lib64/libnvidia-ml.so.1",
];

/// NVIDIA's management library.
#[derive(Debug, Clone)]
pub struct Nvml {
    libraries: Vec<OsString>,
}

impl Default for Nvml {
    fn default() -> Self {
        Self::at(LIBRARIES.iter().copied())
    }
}

impl Nvml {
    /// The library at one of these names or paths, tried in order.
    pub fn at<L: Into<OsString>>(libraries: impl IntoIterator<Item = L>) -> Self {
        Self {
            libraries: libraries.into_iter().map(Into::into).collect(),
        }
    }

    /// Loads the library and starts it.
    pub(crate) fn load(&self) -> Result<nvml_wrapper::Nvml, GpuUnavailable> {
        let mut failure = None;
        for library in &self.libraries {
            match nvml_wrapper::Nvml::builder().lib_path(library).init() {
                Ok(nvml) => return Ok(nvml),
                Err(error @ NvmlError::LibloadingError(_)) => {
                    failure.get_or_insert(error);
                }
                Err(error) => return Err(explain(&error)),
            }
        }
        Err(failure.map_or_else(
            || unavailable(GpuUnavailableCause::NoDriver, "no library was named"),
            |error| explain(&error),
        ))
    }
}

/// Bytes of GPU memory that processes hold.
#[derive(Debug)]
pub struct GpuMemory(nvml_wrapper::Nvml);

impl GpuMemory {
    /// Opens NVIDIA's management library.
    pub fn open() -> Result<Self, GpuUnavailable> {
        Nvml::default().load().map(Self)
    }

    /// Bytes that a process holds on all GPUs; `None` where the driver does not list it, as with
    /// a process that uses none, or in a container that hides the machine's process numbers.
    pub fn of(&self, pid: u32) -> Option<u64> {
        let devices = self.0.device_count().ok()?;
        let held = (0..devices).filter_map(|index| {
            let device = self.0.device_by_index(index).ok()?;
            let mut processes = device.running_compute_processes().ok()?.into_iter();
            match processes
                .find(|process| process.pid == pid)?
                .used_gpu_memory
            {
                UsedGpuMemory::Used(bytes) => Some(bytes),
                UsedGpuMemory::Unavailable => None,
            }
        });
        held.fold(None, |sum, bytes| Some(sum.unwrap_or(0) + bytes))
    }
}

impl DeviceProbe for Nvml {
    fn name(&self) -> &'static str {
        "NVML"
    }

    fn probe(&self) -> Result<GpuInventory, GpuUnavailable> {
        // The wrapper is foreign code over a foreign library: should it ever panic, that is a
        // GPU that cannot be used, not the end of the program.
        std::panic::catch_unwind(|| inventory(&self.load()?)).unwrap_or_else(|_| {
            Err(unavailable(
                GpuUnavailableCause::Other,
                "NVIDIA's management library could not be used",
            ))
        })
    }
}

fn inventory(nvml: &nvml_wrapper::Nvml) -> Result<GpuInventory, GpuUnavailable> {
    let count = nvml.device_count().map_err(|error| explain(&error))?;
    let mut gpus = Vec::new();
    let mut failure = None;
    for index in 0..count {
        match nvml.device_by_index(index) {
            Ok(device) => gpus.push(gpu(index, &device)),
            Err(error) => failure = Some(error),
        }
    }
    if gpus.is_empty() {
        return Err(failure.map_or_else(
            || {
                unavailable(
                    GpuUnavailableCause::NoDevices,
                    "NVIDIA's driver runs but sees no GPU",
                )
            },
            |error| explain(&error),
        ));
    }
    Ok(GpuInventory {
        driver_version: nvml.sys_driver_version().ok(),
        cuda_version: nvml.sys_cuda_driver_version().ok().and_then(|version| {
            let version = u32::try_from(version).ok()?;
            Some((version / 1000, version % 1000 / 10))
        }),
        gpus,
    })
}

fn gpu(index: u32, device: &nvml_wrapper::Device<'_>) -> Gpu {
    let memory = device.memory_info().ok();
    Gpu {
        index,
        name: device
            .name()
            .unwrap_or_else(|_| format!("NVIDIA GPU {index}")),
        uuid: device.uuid().ok(),
        memory_total: memory.as_ref().map(|memory| memory.total),
        memory_free: memory.as_ref().map(|memory| memory.free),
        compute_capability: device
            .cuda_compute_capability()
            .ok()
            .and_then(|capability| {
                Some((
                    u32::try_from(capability.major).ok()?,
                    u32::try_from(capability.minor).ok()?,
                ))
            }),
    }
}

fn unavailable(cause: GpuUnavailableCause, reason: impl Into<String>) -> GpuUnavailable {
    GpuUnavailable {
        cause,
        reason: reason.into(),
    }
}

pub(crate) fn explain(error: &NvmlError) -> GpuUnavailable {
    use GpuUnavailableCause as Cause;
    match error {
        NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound => unavailable(
            Cause::NoDriver,
            "NVIDIA's driver is not on this machine (libnvidia-ml.so.1 was not found)",
        ),
        NvmlError::DriverNotLoaded => unavailable(
            Cause::DriverNotLoaded,
            "NVIDIA's library is installed but its kernel module is not loaded; in a container, \
             start it with access to the GPUs",
        ),
        NvmlError::LibRmVersionMismatch => unavailable(
            Cause::VersionMismatch,
            match crate::driver_identity() {
                Some(identity) => format!(
                    "NVIDIA's library and its kernel module are of different versions (the loaded \
                     module is {}); restart the machine after a driver update",
                    identity.split(',').next().unwrap_or_default()
                ),
                None => "NVIDIA's library and its kernel module are of different versions; \
                         restart the machine after a driver update"
                    .to_owned(),
            },
        ),
        NvmlError::NoPermission | NvmlError::OperatingSystem => unavailable(
            Cause::NoPermission,
            "this user or container may not use the GPUs (look at the rights of /dev/nvidia*)",
        ),
        NvmlError::NotFound => {
            unavailable(Cause::NoDevices, "NVIDIA's driver runs but sees no GPU")
        }
        other => unavailable(
            Cause::Other,
            format!("NVIDIA's management library failed: {other}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_a_plain_reason() {
        let missing = Nvml::at(["libthere-is-no-such-library.so.9"])
            .probe()
            .unwrap_err();
        assert_eq!(missing.cause, GpuUnavailableCause::NoDriver);
        assert!(missing.reason.contains("not on this machine"));
        assert!(Nvml::at(Vec::<OsString>::new()).probe().is_err());
    }

    #[test]
    fn a_library_of_another_kind_is_no_panic() {
        // The C library loads well but has none of the symbols.
        assert!(Nvml::at(["libc.so.6"]).probe().is_err());
    }

    #[test]
    fn a_version_mismatch_is_explained() {
        let missing = explain(&NvmlError::LibRmVersionMismatch);
        assert_eq!(missing.cause, GpuUnavailableCause::VersionMismatch);
        assert!(missing.reason.contains("different versions"));
        assert!(missing.reason.contains("restart"));
    }
}
