//! From samples of the machine to `hw.*` and `process.*`.
//!
//! Every sample replaces what the one before said: a device that is gone, or a value that the
//! driver no longer gives, is not told as if it were still so.

use super::attributes::Attributes;
use super::names::Id;
use super::registry::Registry;
use llamatelemetry_machine::sampler::{GpuSample, ProcessSample, Sample};

/// What one sample says of one instrument.
type Points = Vec<(Attributes, f64)>;

/// Puts a sample in the place of the one before.
pub(super) fn take(registry: &mut Registry, sample: &Sample, now: u64) {
    let mut taken: Vec<(Id, Points)> = IDS.iter().map(|id| (*id, Points::new())).collect();
    let mut put = |id: Id, attributes: Attributes, value: Option<f64>| {
        let points = taken.iter_mut().find(|(own, _)| *own == id);
        if let Some(((_, points), value)) = points.zip(value) {
            points.push((attributes, value));
        }
    };
    for sample in &sample.gpus {
        gpu(sample, &mut put);
    }
    for package in &sample.packages {
        let attributes = Attributes::default()
            .with("hw.id", package.name.as_str())
            .with("hw.type", "cpu");
        put(Id::Energy, attributes, Some(package.reading.joules));
    }
    for sample in &sample.processes {
        process(sample, &mut put);
    }
    for (id, points) in taken {
        registry.replace(id, now, points);
    }
}

/// Every instrument of this file.
const IDS: &[Id] = &[
    Id::GpuUtilization,
    Id::GpuMemoryLimit,
    Id::GpuMemoryUsage,
    Id::GpuMemoryUtilization,
    Id::Energy,
    Id::Power,
    Id::PowerLimit,
    Id::Temperature,
    Id::HardwareErrors,
    Id::GpuClock,
    Id::GpuThrottled,
    Id::ProcessCpuTime,
    Id::ProcessMemory,
    Id::ProcessVirtual,
    Id::ProcessThreads,
    Id::ProcessFiles,
    Id::ProcessDisk,
    Id::ProcessUptime,
];

fn gpu(sample: &GpuSample, put: &mut impl FnMut(Id, Attributes, Option<f64>)) {
    let (device, values) = (&sample.device, &sample.values);
    let own = Attributes::default()
        .with("hw.id", device.id().as_str())
        .with("hw.name", device.name.as_str())
        .with_some("hw.parent", device.parent.as_deref());
    let typed = own.with("hw.type", "gpu");
    let bytes = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64);
    let (limit, used) = (
        bytes(values.memory_total_bytes),
        bytes(values.memory_used_bytes),
    );
    let share = used.zip(limit).filter(|(_, limit)| *limit > 0.0);
    let general = own.with("hw.gpu.task", "general");
    put(Id::GpuUtilization, general, values.utilization);
    put(Id::GpuMemoryLimit, own.clone(), limit);
    put(Id::GpuMemoryUsage, own.clone(), used);
    let share = share.map(|(used, limit)| used / limit);
    put(Id::GpuMemoryUtilization, own.clone(), share);
    let energy = sample.energy.map(|reading| reading.joules);
    put(Id::Energy, typed.clone(), energy);
    put(Id::Power, typed.clone(), values.power_watts);
    put(Id::PowerLimit, own.clone(), values.power_limit_watts);
    for (place, degrees) in [
        ("die", values.temperature_celsius),
        ("memory", values.memory_temperature_celsius),
        ("hotspot", values.hotspot_temperature_celsius),
    ] {
        put(
            Id::Temperature,
            typed.with("hw.sensor_location", place),
            degrees,
        );
    }
    for (kind, count) in [
        ("corrected", values.ecc_corrected),
        ("uncorrected", values.ecc_uncorrected),
    ] {
        put(
            Id::HardwareErrors,
            typed.with("error.type", kind),
            bytes(count),
        );
    }
    for (clock, megahertz) in [
        ("sm", values.sm_clock_mhz),
        ("memory", values.memory_clock_mhz),
    ] {
        let attributes = own.with("llamacpp.gpu.clock.domain", clock);
        put(Id::GpuClock, attributes, megahertz.map(|clock| clock * 1e6));
    }
    for reason in values.throttle.iter().flatten() {
        let attributes = own.with("llamacpp.gpu.throttle.reason", reason.as_str());
        put(Id::GpuThrottled, attributes, Some(1.0));
    }
}

fn process(sample: &ProcessSample, put: &mut impl FnMut(Id, Attributes, Option<f64>)) {
    let own = Attributes::default()
        .with("process.pid", i64::from(sample.pid))
        .with_some("process.executable.name", sample.name.as_deref());
    let count = |count: Option<u64>| count.map(|count| count as f64);
    for (mode, seconds) in [
        ("user", sample.cpu_user_seconds),
        ("system", sample.cpu_system_seconds),
    ] {
        put(Id::ProcessCpuTime, own.with("cpu.mode", mode), seconds);
    }
    for (direction, bytes) in [
        ("read", sample.disk_read_bytes),
        ("write", sample.disk_written_bytes),
    ] {
        let attributes = own.with("disk.io.direction", direction);
        put(Id::ProcessDisk, attributes, count(bytes));
    }
    put(
        Id::ProcessMemory,
        own.clone(),
        count(sample.memory_resident_bytes),
    );
    put(
        Id::ProcessVirtual,
        own.clone(),
        count(sample.memory_virtual_bytes),
    );
    put(Id::ProcessThreads, own.clone(), count(sample.threads));
    put(Id::ProcessFiles, own.clone(), count(sample.open_files));
    put(Id::ProcessUptime, own, sample.uptime_seconds);
}
