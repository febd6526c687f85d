//! A GPU that tests command.

use super::sample::{Absence, Detail, GpuDevice, GpuValues};
use super::source::{DeviceError, GpuSource};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the fake GPUs do, and what was asked of them.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// Why there is no device.
    pub(super) absent: Option<&'static str>,
    /// What each device answers to a reading.
    pub(super) devices: Vec<Result<(), DeviceError>>,
    pub(super) opened: usize,
    pub(super) quick: usize,
    pub(super) full: usize,
    pub(super) energies: usize,
    pub(super) panics: bool,
    /// How long the hardware takes for a reading.
    pub(super) delay: Duration,
}

/// The same script for whoever commands and for the source.
#[derive(Debug, Clone, Default)]
pub(super) struct Fake(pub(super) Arc<Mutex<Script>>);

impl Fake {
    /// So many devices, all well.
    pub(super) fn with(devices: usize) -> Self {
        let fake = Self::default();
        fake.command(|script| script.devices = vec![Ok(()); devices]);
        fake
    }

    pub(super) fn command<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }
}

impl GpuSource for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn open(&mut self) -> Result<Vec<GpuDevice>, Absence> {
        self.command(|script| {
            script.opened += 1;
            match script.absent {
                Some(reason) => Err(Absence::new("fake", reason)),
                None => Ok((0..script.devices.len())
                    .map(|index| GpuDevice {
                        source: "fake".to_owned(),
                        uuid: Some(format!("GPU-{index}")),
                        ..GpuDevice::default()
                    })
                    .collect()),
            }
        })
    }

    fn read(
        &mut self,
        position: usize,
        detail: Detail,
        values: &mut GpuValues,
    ) -> Result<(), DeviceError> {
        let (answer, panics, delay) = self.command(|script| {
            match detail {
                Detail::Quick => script.quick += 1,
                Detail::Full => script.full += 1,
            }
            let answer = script.devices[position].clone();
            (answer, script.panics, script.delay)
        });
        std::thread::sleep(delay);
        assert!(!panics, "commanded");
        values.utilization = Some(0.5);
        answer
    }

    fn energy(&mut self, _position: usize) -> Result<Option<f64>, DeviceError> {
        self.command(|script| {
            script.energies += 1;
            Ok(Some(script.energies as f64))
        })
    }
}
