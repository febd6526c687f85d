//! Who is asked about GPUs and energy.

use super::sample::{Absence, Detail, GpuDevice, GpuValues, PackageEnergy};
use std::fmt;

/// Something that knows about GPUs. One for each maker; tests have their own.
///
/// It is used by one thread only. Devices are named by their position in what `open` returned.
pub trait GpuSource: fmt::Debug + Send {
    /// Who it is: `NVML`, `amdgpu`.
    fn name(&self) -> &'static str;

    /// Looks for the devices; again after one was lost. No device is an absence with a reason.
    fn open(&mut self) -> Result<Vec<GpuDevice>, Absence>;

    /// Reads one device. `values` holds what the last reading left: a quick reading replaces the
    /// quick values, a full one all of them. What the device does not tell becomes `None`; an
    /// error means that the device as a whole did not answer.
    fn read(
        &mut self,
        position: usize,
        detail: Detail,
        values: &mut GpuValues,
    ) -> Result<(), DeviceError>;

    /// The device's cumulative energy counter, J; `None` if it has none. Apart from the other
    /// values because it can cost a thousand times as much.
    fn energy(&mut self, position: usize) -> Result<Option<f64>, DeviceError>;
}

/// Something that counts the energy of processor packages.
pub trait EnergySource: fmt::Debug + Send {
    /// Who it is: `RAPL`.
    fn name(&self) -> &'static str;

    /// Reads every counter. What cannot be read is an absence; there may be both.
    fn read(&mut self) -> (Vec<PackageEnergy>, Vec<Absence>);
}

/// A device did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DeviceError {
    /// Whether it takes a new `open` to have it back.
    pub lost: bool,
    /// The reason, in words.
    pub reason: String,
}
