//! GPUs, whoever made them.

use serde::{Serialize, Serializer};
use std::fmt;
use std::path::Path;

/// Something that can find GPUs. Further makers are further implementations.
pub trait DeviceProbe: fmt::Debug + Send + Sync {
    /// Who is asked: `NVML`.
    fn name(&self) -> &'static str;
    /// Looks for GPUs. Must not panic; an empty inventory is an error with a reason.
    fn probe(&self) -> Result<GpuInventory, GpuUnavailable>;
}

/// The GPUs of this machine and the driver they share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GpuInventory {
    /// Version of the driver: `580.65.06`.
    pub driver_version: Option<String>,
    /// Newest CUDA version the driver can run: `(13, 0)`.
    pub cuda_version: Option<(u32, u32)>,
    /// The GPUs in the order of the maker's library.
    pub gpus: Vec<Gpu>,
}

/// One GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// Index in the maker's library (not changed by `CUDA_VISIBLE_DEVICES`).
    pub index: u32,
    /// Product name.
    pub name: String,
    /// The name that stays with the board.
    pub uuid: Option<String>,
    /// Memory in bytes.
    pub memory_total: Option<u64>,
    /// Memory nobody uses now, in bytes.
    pub memory_free: Option<u64>,
    /// CUDA compute capability: `(9, 0)`.
    pub compute_capability: Option<(u32, u32)>,
}

/// No GPU can be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no GPU can be used: {reason}")]
pub struct GpuUnavailable {
    /// What kind of reason it is.
    pub cause: GpuUnavailableCause,
    /// The reason, in words, with what to do about it.
    pub reason: String,
}

/// Why no GPU can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GpuUnavailableCause {
    /// The driver's library is not on this machine.
    NoDriver,
    /// The library is there, the kernel module is not loaded.
    DriverNotLoaded,
    /// The library and the kernel module are of different versions.
    VersionMismatch,
    /// The driver runs and sees no GPU.
    NoDevices,
    /// This user or container may not use the devices.
    NoPermission,
    /// Anything else.
    Other,
}

/// Asks each probe in turn; the first that finds a GPU wins, else the first reason that is not
/// merely "no driver" is told.
pub fn probe_gpus(probes: &[&dyn DeviceProbe]) -> Result<GpuInventory, GpuUnavailable> {
    let mut reason: Option<GpuUnavailable> = None;
    for probe in probes {
        match probe.probe() {
            Ok(found) if !found.gpus.is_empty() => return Ok(found),
            Ok(_) => {
                reason.get_or_insert(GpuUnavailable {
                    cause: GpuUnavailableCause::NoDevices,
                    reason: format!("{} sees no device", probe.name()),
                });
            }
            Err(missing) => {
                let better = reason
                    .as_ref()
                    .is_none_or(|known| known.cause == GpuUnavailableCause::NoDriver);
                if better {
                    reason = Some(missing);
                }
            }
        }
    }
    Err(reason.unwrap_or_else(|| GpuUnavailable {
        cause: GpuUnavailableCause::Other,
        reason: "no device probe was asked".to_owned(),
    }))
}

/// NVIDIA's kernel module and the cards it drives, such as `580.159.04, NVIDIA H100`, read from
/// files in microseconds; `None` where no module is loaded. Remembered results that hold for one
/// driver and one kind of card are keyed by it: a build for one card does not run on another.
pub fn driver_identity() -> Option<String> {
    identity_below(Path::new("/"))
}

/// The same from a recorded system below another root.
fn identity_below(root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join("sys/module/nvidia/version")).ok()?;
    let version = Some(text.trim()).filter(|version| !version.is_empty())?;
    let cards = std::fs::read_dir(root.join("proc/driver/nvidia/gpus"))
        .into_iter()
        .flatten()
        .flatten();
    let models: std::collections::BTreeSet<String> = cards
        .filter_map(|card| std::fs::read_to_string(card.path().join("information")).ok())
        .filter_map(|text| {
            let model = text.lines().find_map(|line| line.strip_prefix("Model:"))?;
            Some(model.trim().to_owned())
        })
        .collect();
    let named = std::iter::once(version.to_owned()).chain(models);
    Some(named.collect::<Vec<_>>().join(", "))
}

/// `{"driver_version":…}` or `{"unavailable":"reason"}`.
pub(crate) fn serialize_result<S: Serializer>(
    result: &Result<GpuInventory, GpuUnavailable>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap as _;
    match result {
        Ok(found) => found.serialize(serializer),
        Err(missing) => {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry("unavailable", &missing.reason)?;
            map.end()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(Result<GpuInventory, GpuUnavailable>);

    impl DeviceProbe for Fixed {
        fn name(&self) -> &'static str {
            "fixed"
        }
        fn probe(&self) -> Result<GpuInventory, GpuUnavailable> {
            self.0.clone()
        }
    }

    fn missing(cause: GpuUnavailableCause) -> Fixed {
        Fixed(Err(GpuUnavailable {
            cause,
            reason: format!("{cause:?}"),
        }))
    }

    #[test]
    fn the_identity_names_driver_and_cards() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert_eq!(identity_below(root.path()), None);
        put("sys/module/nvidia/version", "580.159.04\n");
        assert_eq!(identity_below(root.path()).unwrap(), "580.159.04");
        let card = |at: &str, model: &str| {
            let text = format!("Model: \t\t {model}\nIRQ:   \t\t 35\n");
            put(&format!("proc/driver/nvidia/gpus/{at}/information"), &text);
        };
        card("0000:00:05.0", "Tesla T4");
        let of_one = identity_below(root.path()).unwrap();
        assert_eq!(of_one, "580.159.04, Tesla T4");
        // A second card of the same model changes nothing, one of another does.
        card("0000:00:06.0", "Tesla T4");
        assert_eq!(identity_below(root.path()).unwrap(), of_one);
        card("0000:00:07.0", "NVIDIA H200");
        assert_eq!(
            identity_below(root.path()).unwrap(),
            "580.159.04, NVIDIA H200, Tesla T4"
        );
    }

    #[test]
    fn the_first_probe_that_finds_a_gpu_wins() {
        let found = Fixed(Ok(GpuInventory {
            driver_version: None,
            cuda_version: None,
            gpus: vec![Gpu {
                index: 0,
                name: "a".to_owned(),
                uuid: None,
                memory_total: None,
                memory_free: None,
                compute_capability: None,
            }],
        }));
        let none = missing(GpuUnavailableCause::NoDriver);
        assert_eq!(probe_gpus(&[&none, &found]).unwrap().gpus[0].name, "a");
    }

    #[test]
    fn the_most_telling_reason_is_told() {
        let none = missing(GpuUnavailableCause::NoDriver);
        let mismatch = missing(GpuUnavailableCause::VersionMismatch);
        for probes in [[&none, &mismatch], [&mismatch, &none]] {
            let probes: Vec<&dyn DeviceProbe> = probes
                .iter()
                .map(|probe| *probe as &dyn DeviceProbe)
                .collect();
            assert_eq!(
                probe_gpus(&probes).unwrap_err().cause,
                GpuUnavailableCause::VersionMismatch
            );
        }
        assert!(probe_gpus(&[]).is_err());
    }
}
