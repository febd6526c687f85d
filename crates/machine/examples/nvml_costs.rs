//! What each of NVML's calls costs that the sampler makes, on the first GPU: one line a call, µs.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id as field;
use std::time::Instant;

/// Calls of each kind.
const CALLS: usize = 200;

fn main() -> Result<(), NvmlError> {
    let nvml = Nvml::builder()
        .lib_path("libnvidia-ml.so.1".as_ref())
        .init()?;
    let device = nvml.device_by_index(0)?;
    println!("{}, {}", device.name()?, nvml.sys_driver_version()?);
    println!("call p50 p99 answer");
    time("device_by_index", || nvml.device_by_index(0).map(drop));
    time("utilization_rates", || device.utilization_rates());
    time("memory_info", || {
        device.memory_info().map(|memory| memory.used)
    });
    time("power_usage", || device.power_usage());
    time("clock_info sm", || device.clock_info(Clock::SM));
    time("temperature", || device.temperature(TemperatureSensor::Gpu));
    time("throttle_reasons", || device.current_throttle_reasons());
    time("performance_state", || device.performance_state());
    time("enforced_power_limit", || device.enforced_power_limit());
    time("num_fans", || device.num_fans());
    time("ecc_errors", || {
        device.total_ecc_errors(MemoryError::Uncorrected, EccCounter::Volatile)
    });
    time("pcie_link_gen", || device.current_pcie_link_gen());
    time("pcie_replay_counter", || device.pcie_replay_counter());
    time("compute_processes", || device.running_compute_processes());
    time("graphics_processes", || device.running_graphics_processes());
    time("process_utilization", || {
        device.process_utilization_stats(None).map(|all| all.len())
    });
    for (name, id) in [
        ("field power_instant", field::NVML_FI_DEV_POWER_INSTANT),
        ("field memory_temp", field::NVML_FI_DEV_MEMORY_TEMP),
        ("field pcie_tx", field::NVML_FI_DEV_PCIE_COUNT_TX_BYTES),
        ("field pcie_rx", field::NVML_FI_DEV_PCIE_COUNT_RX_BYTES),
    ] {
        time(name, || {
            device
                .field_values_for(&[FieldId(id)])
                .map(|values| format!("{values:?}"))
        });
    }
    time("total_energy", || device.total_energy_consumption());
    Ok(())
}

fn time<T: std::fmt::Debug>(name: &str, call: impl Fn() -> Result<T, NvmlError>) {
    let mut costs: Vec<u128> = Vec::with_capacity(CALLS);
    let mut answer = None;
    for _ in 0..CALLS {
        let before = Instant::now();
        answer = Some(call());
        costs.push(before.elapsed().as_micros());
    }
    costs.sort_unstable();
    let (p50, p99) = (costs[CALLS / 2], costs[CALLS * 99 / 100]);
    println!("{name} {p50} {p99} {answer:?}");
}
