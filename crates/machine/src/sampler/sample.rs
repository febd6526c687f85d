//! What one look at the machine found.
//!
//! Every value has its unit in its name or its documentation, and is `None` where the hardware,
//! the driver or this user's rights do not give it: never a zero in its place.

use super::clock;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// One look at the machine.
///
/// Its serialised form is what `llt gpu --json` prints and what one process hands to another:
/// instants become nanoseconds of the machine's monotonic clock, durations seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When the look began.
    #[serde(rename = "monotonic_ns", with = "clock::monotonic")]
    pub at: Instant,
    /// The same on the wall clock.
    #[serde(rename = "unix_ns", with = "clock::unix")]
    pub wall: SystemTime,
    /// How much was read anew; the rest is as the last full look left it.
    pub detail: Detail,
    /// The GPUs that answered, MIG instances after the GPU that they are parts of.
    pub gpus: Vec<GpuSample>,
    /// Energy of the processor packages and their memory.
    pub packages: Vec<PackageEnergy>,
    /// The machine as a whole.
    pub host: HostSample,
    /// The processes that this process asked about, itself first.
    pub processes: Vec<ProcessSample>,
    /// What is not there, and why.
    pub absences: Vec<Absence>,
}

/// How much one look reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// What costs microseconds and changes fast: utilisation, memory, power, clocks, temperature,
    /// throttling.
    Quick,
    /// Everything: also energy counters, processes, links, errors, limits, the host.
    Full,
}

/// Something that cannot be told, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// Who was asked: `NVML`, `amdgpu`, `RAPL`, `sampler`.
    pub source: String,
    /// The one device that it is about; `None` where it is about the whole source.
    pub device: Option<String>,
    /// The reason, in words, with what to do about it where something can be done.
    pub reason: String,
}

impl Absence {
    /// About a whole source.
    pub fn new(source: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            device: None,
            reason: reason.into(),
        }
    }

    /// The same about one device of it.
    #[must_use]
    pub fn of(mut self, device: impl Into<String>) -> Self {
        self.device = Some(device.into());
        self
    }
}

/// One reading of a cumulative energy counter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EnergyReading {
    /// The middle between the call and its return.
    #[serde(rename = "monotonic_ns", with = "clock::monotonic")]
    pub at: Instant,
    /// How long the call took; the counter was read somewhere within.
    #[serde(rename = "cost_seconds", with = "clock::seconds")]
    pub cost: Duration,
    /// The counter, J. Only differences mean something; a smaller value than before says that the
    /// driver was reset.
    pub joules: f64,
}

/// What does not change while the driver runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuDevice {
    /// Who tells about it: `NVML`, `amdgpu`.
    pub source: String,
    /// Index in that source; of a MIG instance within its GPU.
    pub index: u32,
    /// Product name.
    pub name: String,
    /// The name that stays with the board or instance.
    pub uuid: Option<String>,
    /// Address on the PCI bus: `0000:03:00.0`.
    pub pci_address: Option<String>,
    /// Of a MIG instance, the `uuid` of the GPU that it is a part of.
    pub parent: Option<String>,
    /// Whether the GPU is divided into MIG instances.
    pub mig: Option<bool>,
    /// Highest clock of the multiprocessors, MHz.
    pub sm_clock_max_mhz: Option<f64>,
    /// Highest clock of the memory, MHz.
    pub memory_clock_max_mhz: Option<f64>,
    /// Power limit that the maker set, W.
    pub power_limit_default_watts: Option<f64>,
    /// Highest power limit that can be set, W.
    pub power_limit_max_watts: Option<f64>,
    /// Temperature of the chip at which it slows down, °C.
    pub temperature_slowdown_celsius: Option<f64>,
    /// Temperature of the chip at which it shuts down, °C.
    pub temperature_shutdown_celsius: Option<f64>,
    /// Temperature of the memory at which it slows down, °C.
    pub memory_temperature_max_celsius: Option<f64>,
    /// Highest generation of the PCIe link that card and slot can do together.
    pub pcie_generation_max: Option<u32>,
    /// Most lanes of the PCIe link that card and slot can do together.
    pub pcie_width_max: Option<u32>,
}

impl GpuDevice {
    /// What the device is known by where there is one word for it: its UUID, else its address,
    /// else source and index.
    pub fn id(&self) -> String {
        match (&self.uuid, &self.pci_address) {
            (Some(uuid), _) => uuid.clone(),
            (None, Some(address)) => address.clone(),
            (None, None) => format!("{} {}", self.source, self.index),
        }
    }
}

/// One GPU, or one MIG instance of it, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GpuSample {
    /// Which.
    pub device: Arc<GpuDevice>,
    /// When its values were read.
    #[serde(rename = "monotonic_ns", with = "clock::monotonic")]
    pub at: Instant,
    /// What reading them cost, the energy counter not counted.
    #[serde(rename = "cost_seconds", with = "clock::seconds")]
    pub cost: Duration,
    /// The values.
    pub values: GpuValues,
    /// The latest reading of the energy counter; the same one until the next reading.
    pub energy: Option<EnergyReading>,
}

/// The values of one GPU. Those below the line are read by full looks only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuValues {
    /// Share of the driver's last period (1/6 s to 1 s) in which a kernel ran, 0 to 1.
    pub utilization: Option<f64>,
    /// Share of that period in which device memory was read or written, 0 to 1.
    pub memory_utilization: Option<f64>,
    /// Device memory in all, bytes.
    pub memory_total_bytes: Option<u64>,
    /// Device memory that programs hold, bytes.
    pub memory_used_bytes: Option<u64>,
    /// Device memory that nobody holds, bytes.
    pub memory_free_bytes: Option<u64>,
    /// Power as the driver gives it first, W: a mean over one second on newer NVIDIA GPUs.
    pub power_watts: Option<f64>,
    /// Power at this moment, W, where the driver tells it apart from the mean.
    pub power_instant_watts: Option<f64>,
    /// Clock of the multiprocessors, MHz.
    pub sm_clock_mhz: Option<f64>,
    /// Clock of the memory, MHz.
    pub memory_clock_mhz: Option<f64>,
    /// Temperature of the chip, °C.
    pub temperature_celsius: Option<f64>,
    /// Why the clocks are lower than they could be; empty if they are not.
    pub throttle: Option<Vec<ThrottleReason>>,
    /// Performance state: 0 is the fastest.
    pub performance_state: Option<u32>,

    // ----- full looks
    /// Power limit in force, W.
    pub power_limit_watts: Option<f64>,
    /// Temperature of the memory, °C.
    pub memory_temperature_celsius: Option<f64>,
    /// Temperature of the chip's hottest spot, °C.
    pub hotspot_temperature_celsius: Option<f64>,
    /// Speed of the fastest fan as a share of its highest, 0 to 1.
    pub fan: Option<f64>,
    /// The PCIe link.
    pub pcie: PcieValues,
    /// Memory errors that the hardware put right since the driver was loaded.
    pub ecc_corrected: Option<u64>,
    /// Memory errors that it could not put right since the driver was loaded.
    pub ecc_uncorrected: Option<u64>,
    /// The last error that the driver reported since the sampler runs.
    pub xid: Option<Xid>,
    /// The programs on the device; `None` where the driver does not tell.
    pub processes: Option<Vec<GpuProcess>>,
}

/// The PCIe link of a GPU.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PcieValues {
    /// Generation in use; links slow down when idle.
    pub generation: Option<u32>,
    /// Lanes in use.
    pub width: Option<u32>,
    /// Bytes a second that the GPU received since the last full look.
    pub received_bytes_per_second: Option<f64>,
    /// Bytes a second that the GPU sent since the last full look.
    pub sent_bytes_per_second: Option<f64>,
    /// Packets that had to be sent again since the driver was loaded.
    pub replays: Option<u64>,
}

/// An error that NVIDIA's driver reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Xid {
    /// Its number in NVIDIA's list.
    pub code: u64,
    /// When it was noticed.
    #[serde(rename = "monotonic_ns", with = "clock::monotonic")]
    pub at: Instant,
}

/// One program's use of one GPU.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuProcess {
    /// Its process, as the driver numbers processes: in a container that has numbers of its own,
    /// these are the host's.
    pub pid: u32,
    /// Device memory that it holds, bytes.
    pub memory_bytes: Option<u64>,
    /// Share of the time since the last full look in which its kernels ran, 0 to 1.
    pub utilization: Option<f64>,
    /// Share of that time in which it read or wrote device memory, 0 to 1.
    pub memory_utilization: Option<f64>,
    /// The MIG instance that it runs on, as the driver numbers them.
    pub mig_instance: Option<u32>,
}

/// Why the clocks of a GPU are lower than they could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ThrottleReason {
    /// Nothing to do.
    Idle,
    /// Somebody set the clocks lower.
    ClockSetting,
    /// The power limit.
    PowerCap,
    /// The limit of a supply's current.
    CurrentLimit,
    /// The board's own protection, for heat or power.
    HardwareSlowdown,
    /// Another GPU of a group that runs in step.
    SyncBoost,
    /// The driver's limit of heat.
    SoftwareThermal,
    /// The hardware's limit of heat.
    HardwareThermal,
    /// The machine's power supply asked for it.
    PowerBrake,
    /// A limit for reliability, or one that has no name here.
    Other,
}

impl ThrottleReason {
    /// The name used on screen and in figures.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::ClockSetting => "clock setting",
            Self::PowerCap => "power cap",
            Self::CurrentLimit => "current limit",
            Self::HardwareSlowdown => "hardware slowdown",
            Self::SyncBoost => "sync boost",
            Self::SoftwareThermal => "heat (driver)",
            Self::HardwareThermal => "heat (hardware)",
            Self::PowerBrake => "power brake",
            Self::Other => "other",
        }
    }

    /// Whether it costs speed that work would have had: neither idleness nor a setting does.
    pub const fn is_loss(self) -> bool {
        !matches!(self, Self::Idle | Self::ClockSetting)
    }
}

/// Energy of one part of a processor package.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PackageEnergy {
    /// `package-0`, or `package-0/dram` for memory, which the package does not contain.
    pub name: String,
    /// The hardware's counter with the wrap-arounds that whoever reads has seen added. Only
    /// differences count; a step back means that another process reads since.
    pub reading: EnergyReading,
}

/// The machine as a whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostSample {
    /// Share of all processors' time since the last full look that was not idle, 0 to 1.
    pub cpu_utilization: Option<f64>,
    /// Processor time since the start of the system in user mode, of all processors, s.
    pub cpu_user_seconds: Option<f64>,
    /// The same in the kernel.
    pub cpu_system_seconds: Option<f64>,
    /// The same idle.
    pub cpu_idle_seconds: Option<f64>,
    /// The same idle while something waited for a disk.
    pub cpu_iowait_seconds: Option<f64>,
    /// Programs that ran or wanted to, mean over one minute.
    pub load_1m: Option<f64>,
    /// Main memory in all, bytes.
    pub memory_total_bytes: Option<u64>,
    /// Main memory that a new program could take without swapping, bytes.
    pub memory_available_bytes: Option<u64>,
    /// Swap space in use, bytes.
    pub swap_used_bytes: Option<u64>,
}

/// One process of this machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessSample {
    /// Which.
    pub pid: u32,
    /// Name of its program, as the kernel keeps it.
    pub name: Option<String>,
    /// Processor time in user mode, s.
    pub cpu_user_seconds: Option<f64>,
    /// Processor time in the kernel, s.
    pub cpu_system_seconds: Option<f64>,
    /// Processors that it kept busy since the last full look: 1.5 is one and a half.
    pub cpu_utilization: Option<f64>,
    /// Memory that it has in RAM, bytes.
    pub memory_resident_bytes: Option<u64>,
    /// Address space that it has reserved, bytes.
    pub memory_virtual_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open files and sockets.
    pub open_files: Option<u64>,
    /// Bytes that it read from disks.
    pub disk_read_bytes: Option<u64>,
    /// Bytes that it wrote to disks.
    pub disk_written_bytes: Option<u64>,
    /// How often it gave up the processor to wait.
    pub context_switches_voluntary: Option<u64>,
    /// How often the processor was taken from it.
    pub context_switches_involuntary: Option<u64>,
    /// Page faults that needed no disk.
    pub page_faults_minor: Option<u64>,
    /// Page faults that did.
    pub page_faults_major: Option<u64>,
    /// Time since it was started, s.
    pub uptime_seconds: Option<f64>,
}
