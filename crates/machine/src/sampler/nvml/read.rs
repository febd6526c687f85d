//! The values of one NVIDIA GPU.

use super::super::sample::{GpuProcess, GpuValues, PcieValues, ThrottleReason};
use super::super::source::DeviceError;
use super::{is_lost, lost};
use nvml_wrapper::Device;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{
    Clock, EccCounter, MemoryError, PerformanceState, TemperatureSensor,
};
use nvml_wrapper::enums::device::{SampleValue, UsedGpuMemory};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id;
use std::collections::BTreeMap;
use std::time::Instant;

/// What is kept between two full readings.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The driver's time of the newest sample of the processes' utilisation, µs.
    utilization_seen: u64,
    /// The bytes over the link, counted last.
    link: Option<LinkCount>,
}

/// Bytes over the link so far.
#[derive(Debug, Clone, Copy)]
struct LinkCount {
    at: Instant,
    received: Option<u64>,
    sent: Option<u64>,
}

impl LinkCount {
    /// Bytes a second since an earlier count, of what is picked.
    fn rate(&self, earlier: Option<&Self>, pick: fn(&Self) -> Option<u64>) -> Option<f64> {
        let earlier = earlier?;
        let passed = self.at.duration_since(earlier.at).as_secs_f64();
        // A counter that went back has wrapped: this once there is no rate.
        let moved = pick(self)?.checked_sub(pick(earlier)?)?;
        (passed > 0.0).then(|| moved as f64 / passed)
    }
}

/// Takes one value after another and notices when the device as a whole is gone.
#[derive(Debug, Default)]
struct Reading {
    lost: Option<NvmlError>,
}

impl Reading {
    fn take<T>(&mut self, value: Result<T, NvmlError>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                if is_lost(&error) {
                    self.lost = Some(error);
                }
                None
            }
        }
    }

    fn end(self) -> Result<(), DeviceError> {
        match self.lost {
            Some(error) => Err(lost(&error)),
            None => Ok(()),
        }
    }
}

fn share(percent: u32) -> f64 {
    f64::from(percent) / 100.0
}

fn watts(milliwatts: u32) -> f64 {
    f64::from(milliwatts) / 1e3
}

/// What costs microseconds.
pub(super) fn quick(device: &Device<'_>, values: &mut GpuValues) -> Result<(), DeviceError> {
    let mut reading = Reading::default();
    let rates = reading.take(device.utilization_rates());
    values.utilization = rates.as_ref().map(|rates| share(rates.gpu));
    values.memory_utilization = rates.as_ref().map(|rates| share(rates.memory));
    let memory = reading.take(device.memory_info());
    values.memory_total_bytes = memory.as_ref().map(|memory| memory.total);
    values.memory_used_bytes = memory.as_ref().map(|memory| memory.used);
    values.memory_free_bytes = memory.as_ref().map(|memory| memory.free);
    values.power_watts = reading.take(device.power_usage()).map(watts);
    let [instant] = fields(device, [field_id::NVML_FI_DEV_POWER_INSTANT]);
    values.power_instant_watts = instant.map(|milliwatts| milliwatts as f64 / 1e3);
    values.sm_clock_mhz = reading.take(device.clock_info(Clock::SM)).map(f64::from);
    values.memory_clock_mhz = reading
        .take(device.clock_info(Clock::Memory))
        .map(f64::from);
    values.temperature_celsius = reading
        .take(device.temperature(TemperatureSensor::Gpu))
        .map(f64::from);
    values.throttle = reading
        .take(device.current_throttle_reasons())
        .map(throttle);
    values.performance_state = reading
        .take(device.performance_state())
        .and_then(performance_state);
    reading.end()
}

/// What costs more, or changes slowly.
pub(super) fn full(
    device: &Device<'_>,
    history: &mut History,
    values: &mut GpuValues,
) -> Result<(), DeviceError> {
    let mut reading = Reading::default();
    values.power_limit_watts = reading.take(device.enforced_power_limit()).map(watts);
    values.fan = fan(device);
    values.ecc_corrected =
        reading.take(device.total_ecc_errors(MemoryError::Corrected, EccCounter::Volatile));
    values.ecc_uncorrected =
        reading.take(device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile));
    let [memory_temperature, sent, received] = fields(
        device,
        [
            field_id::NVML_FI_DEV_MEMORY_TEMP,
            field_id::NVML_FI_DEV_PCIE_COUNT_TX_BYTES,
            field_id::NVML_FI_DEV_PCIE_COUNT_RX_BYTES,
        ],
    );
    values.memory_temperature_celsius = memory_temperature
        // Boards without the sensor answer with 0.
        .filter(|celsius| *celsius > 0)
        .map(|celsius| celsius as f64);
    values.pcie = link(device, history, received, sent);
    values.processes = processes(device, history);
    reading.end()
}

/// Values that have no call of their own, in one call for all.
fn fields<const COUNT: usize>(device: &Device<'_>, wanted: [u32; COUNT]) -> [Option<u64>; COUNT] {
    let mut found = [None; COUNT];
    if let Ok(samples) = device.field_values_for(&wanted.map(FieldId)) {
        for (place, sample) in found.iter_mut().zip(samples) {
            *place = sample.ok().and_then(|sample| match sample.value.ok()? {
                SampleValue::U32(value) => Some(u64::from(value)),
                SampleValue::U64(value) => Some(value),
                SampleValue::I64(value) => u64::try_from(value).ok(),
                SampleValue::F64(_) => None,
            });
        }
    }
    found
}

/// The library's own rates are not asked for: each of its two calls watches the link for 20 ms.
fn link(
    device: &Device<'_>,
    history: &mut History,
    received: Option<u64>,
    sent: Option<u64>,
) -> PcieValues {
    let now = LinkCount {
        at: Instant::now(),
        received,
        sent,
    };
    let last = history.link.replace(now);
    PcieValues {
        generation: device.current_pcie_link_gen().ok(),
        width: device.current_pcie_link_width().ok(),
        received_bytes_per_second: now.rate(last.as_ref(), |count| count.received),
        sent_bytes_per_second: now.rate(last.as_ref(), |count| count.sent),
        replays: device.pcie_replay_counter().ok().map(u64::from),
    }
}

fn fan(device: &Device<'_>) -> Option<f64> {
    let fans = device.num_fans().ok()?;
    (0..fans)
        .filter_map(|fan| device.fan_speed(fan).ok())
        .max()
        .map(share)
}

fn processes(device: &Device<'_>, history: &mut History) -> Option<Vec<GpuProcess>> {
    let compute = device.running_compute_processes().ok();
    let graphics = device.running_graphics_processes().ok();
    if compute.is_none() && graphics.is_none() {
        return None;
    }
    let mut found = once_each(compute.into_iter().chain(graphics).flatten());
    if let Some(shares) = utilization(device, history) {
        for process in &mut found {
            // The driver names those only that ran.
            let (sm, memory) = shares.get(&process.pid).copied().unwrap_or_default();
            process.utilization = Some(sm);
            process.memory_utilization = Some(memory);
        }
    }
    Some(found)
}

/// Each process once on each instance that it uses.
fn once_each(listed: impl Iterator<Item = ProcessInfo>) -> Vec<GpuProcess> {
    let mut found = BTreeMap::new();
    for process in listed {
        // One that computes and draws is in both lists, each with all its memory.
        let key = (process.pid, process.gpu_instance_id);
        found.entry(key).or_insert(GpuProcess {
            pid: process.pid,
            memory_bytes: match process.used_gpu_memory {
                UsedGpuMemory::Used(bytes) => Some(bytes),
                UsedGpuMemory::Unavailable => None,
            },
            mig_instance: process.gpu_instance_id,
            ..GpuProcess::default()
        });
    }
    found.into_values().collect()
}

/// Mean share of each process over the driver's samples since the last reading, of the
/// multiprocessors and of the memory; `None` where the driver keeps no samples.
fn utilization(device: &Device<'_>, history: &mut History) -> Option<BTreeMap<u32, (f64, f64)>> {
    let first = history.utilization_seen == 0;
    let samples = match device.process_utilization_stats(history.utilization_seen) {
        Ok(samples) => samples,
        // Nothing ran since.
        Err(NvmlError::NotFound) => Vec::new(),
        Err(_) => return None,
    };
    let mut sums: BTreeMap<u32, (f64, f64, f64)> = BTreeMap::new();
    for sample in &samples {
        history.utilization_seen = history.utilization_seen.max(sample.timestamp);
        let sum = sums.entry(sample.pid).or_default();
        *sum = (
            sum.0 + share(sample.sm_util.min(100)),
            sum.1 + share(sample.mem_util.min(100)),
            sum.2 + 1.0,
        );
    }
    // The first reading gets all that the driver kept, which is of no known length.
    (!first).then(|| {
        sums.into_iter()
            .map(|(pid, (sm, memory, count))| (pid, (sm / count, memory / count)))
            .collect()
    })
}

fn throttle(reasons: ThrottleReasons) -> Vec<ThrottleReason> {
    const NAMES: [(ThrottleReasons, ThrottleReason); 9] = [
        (ThrottleReasons::GPU_IDLE, ThrottleReason::Idle),
        (
            ThrottleReasons::APPLICATIONS_CLOCKS_SETTING,
            ThrottleReason::ClockSetting,
        ),
        (
            ThrottleReasons::DISPLAY_CLOCK_SETTING,
            ThrottleReason::ClockSetting,
        ),
        (ThrottleReasons::SW_POWER_CAP, ThrottleReason::PowerCap),
        (
            ThrottleReasons::HW_SLOWDOWN,
            ThrottleReason::HardwareSlowdown,
        ),
        (ThrottleReasons::SYNC_BOOST, ThrottleReason::SyncBoost),
        (
            ThrottleReasons::SW_THERMAL_SLOWDOWN,
            ThrottleReason::SoftwareThermal,
        ),
        (
            ThrottleReasons::HW_THERMAL_SLOWDOWN,
            ThrottleReason::HardwareThermal,
        ),
        (
            ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN,
            ThrottleReason::PowerBrake,
        ),
    ];
    let mut found: Vec<ThrottleReason> = NAMES
        .iter()
        .filter(|(bits, _)| reasons.contains(*bits))
        .map(|(_, name)| *name)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn performance_state(state: PerformanceState) -> Option<u32> {
    use PerformanceState as State;
    Some(match state {
        State::Zero => 0,
        State::One => 1,
        State::Two => 2,
        State::Three => 3,
        State::Four => 4,
        State::Five => 5,
        State::Six => 6,
        State::Seven => 7,
        State::Eight => 8,
        State::Nine => 9,
        State::Ten => 10,
        State::Eleven => 11,
        State::Twelve => 12,
        State::Thirteen => 13,
        State::Fourteen => 14,
        State::Fifteen => 15,
        State::Unknown => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_names_once() {
        assert_eq!(throttle(ThrottleReasons::empty()), []);
        assert_eq!(
            throttle(
                ThrottleReasons::DISPLAY_CLOCK_SETTING
                    | ThrottleReasons::APPLICATIONS_CLOCKS_SETTING
                    | ThrottleReasons::SW_POWER_CAP
            ),
            [ThrottleReason::ClockSetting, ThrottleReason::PowerCap]
        );
    }

    #[test]
    fn a_process_counts_once_on_each_instance() {
        let listed = [
            (7, None, 10),
            (8, Some(1), 20),
            (8, Some(2), 30),
            (7, None, 10),
        ];
        let found =
            once_each(
                listed
                    .into_iter()
                    .map(|(pid, gpu_instance_id, bytes)| ProcessInfo {
                        pid,
                        used_gpu_memory: UsedGpuMemory::Used(bytes),
                        gpu_instance_id,
                        compute_instance_id: None,
                    }),
            );
        let memory: Vec<_> = found
            .iter()
            .map(|process| (process.pid, process.memory_bytes))
            .collect();
        assert_eq!(memory, [(7, Some(10)), (8, Some(20)), (8, Some(30))]);
    }

    #[test]
    fn one_missing_value_is_no_lost_device() {
        let mut reading = Reading::default();
        assert_eq!(reading.take::<u32>(Err(NvmlError::NotSupported)), None);
        assert_eq!(reading.take(Ok(3)), Some(3));
        assert_eq!(reading.end(), Ok(()));
        let mut reading = Reading::default();
        reading.take::<u32>(Err(NvmlError::GpuLost));
        assert!(reading.end().unwrap_err().lost);
    }
}
