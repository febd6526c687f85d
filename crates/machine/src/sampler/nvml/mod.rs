//! NVIDIA's GPUs, by the library that their driver brings.

mod events;
mod read;

use super::sample::{Absence, Detail, GpuDevice, GpuValues};
use super::source::{DeviceError, GpuSource};
use crate::nvml::{Nvml, explain};
use events::Events;
use nvml_wrapper::Device;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureThreshold};
use nvml_wrapper::error::NvmlError;
use read::History;

const NAME: &str = "NVML";
/// What `nvmlDeviceGetMigMode` answers for a divided GPU.
const MIG_ENABLED: u32 = 1;

/// NVIDIA's GPUs and their MIG instances.
#[derive(Debug, Default)]
pub struct NvmlSource {
    library: Nvml,
    opened: Option<nvml_wrapper::Nvml>,
    events: Option<Events>,
    devices: Vec<Place>,
}

/// Where a device is found, and what is kept between two readings of it.
#[derive(Debug)]
struct Place {
    index: u32,
    /// The MIG instance of that GPU.
    instance: Option<u32>,
    uuid: Option<String>,
    history: History,
}

impl NvmlSource {
    /// By a library at other places than the usual ones.
    pub fn with_library(library: Nvml) -> Self {
        Self {
            library,
            ..Self::default()
        }
    }
}

impl GpuSource for NvmlSource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn open(&mut self) -> Result<Vec<GpuDevice>, Absence> {
        // The library counts its users: only if none is left does it look at the driver anew.
        self.devices.clear();
        self.opened = None;
        self.events = None;
        let nvml = self
            .library
            .load()
            .map_err(|missing| Absence::new(NAME, missing.reason))?;
        let absent = |error: &NvmlError| Absence::new(NAME, explain(error).reason);
        let count = nvml.device_count().map_err(|error| absent(&error))?;
        let mut found = Vec::new();
        let mut failure = None;
        for index in 0..count {
            let device = match nvml.device_by_index(index) {
                Ok(device) => device,
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            };
            let gpu = describe(index, &device);
            let instances = if gpu.mig == Some(true) {
                instances(&device, &gpu)
            } else {
                Vec::new()
            };
            found.push((Place::new(index, None, &gpu), gpu));
            found.extend(
                instances
                    .into_iter()
                    .map(|(instance, part)| (Place::new(index, Some(instance), &part), part)),
            );
        }
        if found.is_empty() {
            return Err(failure.map_or_else(
                || Absence::new(NAME, "NVIDIA's driver runs but sees no GPU"),
                |error| absent(&error),
            ));
        }
        let (places, devices) = found.into_iter().unzip();
        self.devices = places;
        self.opened = Some(nvml);
        self.events = Events::watch(&self.library);
        Ok(devices)
    }

    fn read(
        &mut self,
        position: usize,
        detail: Detail,
        values: &mut GpuValues,
    ) -> Result<(), DeviceError> {
        let (device, history) = at(self.opened.as_ref(), &mut self.devices, position)?;
        read::quick(&device, values)?;
        if detail == Detail::Full {
            read::full(&device, history, values)?;
            let uuid = self
                .devices
                .get(position)
                .and_then(|place| place.uuid.as_deref());
            values.xid = self
                .events
                .as_ref()
                .zip(uuid)
                .and_then(|(events, uuid)| events.latest(uuid));
        }
        Ok(())
    }

    fn energy(&mut self, position: usize) -> Result<Option<f64>, DeviceError> {
        let (device, _) = at(self.opened.as_ref(), &mut self.devices, position)?;
        match device.total_energy_consumption() {
            Ok(millijoules) => Ok(Some(millijoules as f64 / 1e3)),
            Err(error) if is_lost(&error) => Err(lost(&error)),
            Err(_) => Ok(None),
        }
    }
}

impl Place {
    fn new(index: u32, instance: Option<u32>, device: &GpuDevice) -> Self {
        Self {
            index,
            instance,
            uuid: device.uuid.clone(),
            history: History::default(),
        }
    }
}

/// The handle is asked for each time: that costs less than a microsecond, and a kept one would
/// outlive a driver that was reset.
fn at<'a>(
    opened: Option<&'a nvml_wrapper::Nvml>,
    places: &'a mut [Place],
    position: usize,
) -> Result<(Device<'a>, &'a mut History), DeviceError> {
    let (Some(nvml), Some(place)) = (opened, places.get_mut(position)) else {
        return Err(lost(&NvmlError::Uninitialized));
    };
    let mut device = nvml
        .device_by_index(place.index)
        .map_err(|error| lost(&error))?;
    if let Some(instance) = place.instance {
        device = device
            .mig_device_by_index(instance)
            .map_err(|error| lost(&error))?;
    }
    Ok((device, &mut place.history))
}

/// Whether the device as a whole is gone, not only one value.
fn is_lost(error: &NvmlError) -> bool {
    matches!(
        error,
        NvmlError::GpuLost
            | NvmlError::ResetRequired
            | NvmlError::Uninitialized
            | NvmlError::DriverNotLoaded
            | NvmlError::LibRmVersionMismatch
    )
}

fn lost(error: &NvmlError) -> DeviceError {
    let reason = match error {
        NvmlError::GpuLost => "it has fallen off the bus, or its driver was reset".to_owned(),
        NvmlError::ResetRequired => "it must be reset (`nvidia-smi --gpu-reset`)".to_owned(),
        NvmlError::NotFound | NvmlError::InvalidArg => "it is no longer there".to_owned(),
        other => explain(other).reason,
    };
    DeviceError { lost: true, reason }
}

fn describe(index: u32, device: &Device<'_>) -> GpuDevice {
    let megahertz = |clock| device.max_clock_info(clock).ok().map(f64::from);
    let threshold = |kind| device.temperature_threshold(kind).ok().map(f64::from);
    let watts = |milliwatts: u32| f64::from(milliwatts) / 1e3;
    GpuDevice {
        source: NAME.to_owned(),
        index,
        name: device
            .name()
            .unwrap_or_else(|_| format!("NVIDIA GPU {index}")),
        uuid: device.uuid().ok(),
        pci_address: device.pci_info().ok().map(|pci| short_address(&pci.bus_id)),
        parent: None,
        mig: device
            .mig_mode()
            .ok()
            .map(|mode| mode.current == MIG_ENABLED),
        sm_clock_max_mhz: megahertz(Clock::SM),
        memory_clock_max_mhz: megahertz(Clock::Memory),
        power_limit_default_watts: device.power_management_limit_default().ok().map(watts),
        power_limit_max_watts: device
            .power_management_limit_constraints()
            .ok()
            .map(|limits| watts(limits.max_limit)),
        temperature_slowdown_celsius: threshold(TemperatureThreshold::Slowdown),
        temperature_shutdown_celsius: threshold(TemperatureThreshold::Shutdown),
        memory_temperature_max_celsius: threshold(TemperatureThreshold::MemoryMax),
        pcie_generation_max: device.max_pcie_link_gen().ok(),
        pcie_width_max: device.max_pcie_link_width().ok(),
    }
}

/// The MIG instances of a divided GPU. Clocks, heat and power are the whole GPU's.
fn instances(device: &Device<'_>, gpu: &GpuDevice) -> Vec<(u32, GpuDevice)> {
    let places = device.mig_device_count().unwrap_or(0);
    (0..places)
        .filter_map(|instance| {
            // Places that hold no instance answer with an error.
            let part = device.mig_device_by_index(instance).ok()?;
            let described = GpuDevice {
                source: NAME.to_owned(),
                index: instance,
                name: part
                    .name()
                    .unwrap_or_else(|_| format!("{} MIG {instance}", gpu.name)),
                uuid: part.uuid().ok(),
                parent: gpu.uuid.clone(),
                ..GpuDevice::default()
            };
            Some((instance, described))
        })
        .collect()
}

/// NVIDIA writes the domain with eight digits where everybody else writes four.
fn short_address(address: &str) -> String {
    let address = address.to_lowercase();
    match address.split_once(':') {
        Some((domain, rest)) if domain.len() > 4 && domain.starts_with("0000") => {
            format!("{}:{rest}", &domain[domain.len() - 4..])
        }
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_driver_there_is_a_reason_and_no_device() {
        let mut source = NvmlSource::with_library(Nvml::at(["libthere-is-no-such-library.so.9"]));
        let absence = source.open().unwrap_err();
        assert_eq!(absence.source, "NVML");
        assert!(absence.reason.contains("not on this machine"));
        let error = source
            .read(0, Detail::Quick, &mut GpuValues::default())
            .unwrap_err();
        assert!(error.lost);
        assert!(source.energy(0).is_err());
    }

    #[test]
    fn addresses_are_written_as_the_kernel_does() {
        assert_eq!(short_address("00000000:3B:00.0"), "0000:3b:00.0");
        assert_eq!(short_address("0000:3B:00.0"), "0000:3b:00.0");
        assert_eq!(short_address("00010000:3B:00.0"), "00010000:3b:00.0");
    }
}
