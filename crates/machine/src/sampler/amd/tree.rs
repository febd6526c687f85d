//! The files of one card.

use super::super::procfs::{line, number, value};
use super::super::sample::{GpuDevice, GpuValues, PcieValues};
use super::metrics::Metrics;
use std::fs;
use std::path::PathBuf;

/// One card.
#[derive(Debug)]
pub(super) struct Card {
    device: PathBuf,
    /// The folder of its sensors.
    sensors: Option<PathBuf>,
    address: Option<String>,
    /// Its product's number, which tells what some of its figures mean.
    product: Option<String>,
    /// Numbers of the temperature sensors by their labels.
    edge: Option<u32>,
    junction: Option<u32>,
    memory: Option<u32>,
}

impl Card {
    pub(super) fn at(device: PathBuf) -> Self {
        let sensors = fs::read_dir(device.join("hwmon"))
            .ok()
            .and_then(|entries| entries.flatten().map(|entry| entry.path()).min());
        let labelled = |label: &str| {
            let sensors = sensors.as_deref()?;
            (1..=8).find(|sensor| {
                line(&sensors.join(format!("temp{sensor}_label"))).as_deref() == Some(label)
            })
        };
        let address = fs::read_to_string(device.join("uevent"))
            .ok()
            .and_then(|text| {
                let address = text
                    .lines()
                    .find_map(|line| line.strip_prefix("PCI_SLOT_NAME="))?;
                Some(address.to_lowercase())
            });
        Self {
            edge: labelled("edge"),
            junction: labelled("junction"),
            memory: labelled("mem"),
            address,
            product: line(&device.join("device")),
            sensors,
            device,
        }
    }

    /// A card that was taken away takes its files along.
    pub(super) fn is_there(&self) -> bool {
        self.device.join("vendor").exists()
    }

    pub(super) fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    fn file<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        value(&self.device.join(name))
    }

    fn sensor(&self, name: &str) -> Option<f64> {
        value(&self.sensors.as_deref()?.join(name))
    }

    /// Power in W; the files have µW.
    fn watts(&self, name: &str) -> Option<f64> {
        Some(self.sensor(name)? / 1e6)
    }

    /// Temperature in °C; the files have thousandths.
    fn celsius(&self, sensor: Option<u32>, kind: &str) -> Option<f64> {
        Some(self.sensor(&format!("temp{}_{kind}", sensor?))? / 1e3)
    }

    pub(super) fn describe(&self, source: &str, index: u32) -> GpuDevice {
        let product = self.product.as_deref().unwrap_or("unknown");
        GpuDevice {
            source: source.to_owned(),
            index,
            name: line(&self.device.join("product_name"))
                .unwrap_or_else(|| format!("AMD GPU {product}")),
            uuid: line(&self.device.join("unique_id")),
            pci_address: self.address.clone(),
            parent: None,
            mig: None,
            sm_clock_max_mhz: self.levels("pp_dpm_sclk").map(|levels| levels.highest),
            memory_clock_max_mhz: self.levels("pp_dpm_mclk").map(|levels| levels.highest),
            power_limit_default_watts: self.watts("power1_cap_default"),
            power_limit_max_watts: self.watts("power1_cap_max"),
            temperature_slowdown_celsius: self.celsius(self.edge, "crit"),
            temperature_shutdown_celsius: self.celsius(self.edge, "emergency"),
            memory_temperature_max_celsius: self.celsius(self.memory, "crit"),
            pcie_generation_max: self.generation("max_link_speed"),
            pcie_width_max: self.file("max_link_width"),
        }
    }

    pub(super) fn quick(&self, values: &mut GpuValues) {
        let share = |percent: f64| percent / 100.0;
        values.utilization = self.file("gpu_busy_percent").map(share);
        values.memory_utilization = self.file("mem_busy_percent").map(share);
        let total: Option<u64> = self.file("mem_info_vram_total");
        let used: Option<u64> = self.file("mem_info_vram_used");
        values.memory_total_bytes = total;
        values.memory_used_bytes = used;
        values.memory_free_bytes = total
            .zip(used)
            .and_then(|(total, used)| total.checked_sub(used));
        values.power_watts = self
            .watts("power1_average")
            .or_else(|| self.watts("power1_input"));
        // Where the mean is missing, this was taken in its place already.
        values.power_instant_watts = self.watts("power1_input");
        values.sm_clock_mhz = self.clock("freq1_input", "pp_dpm_sclk");
        values.memory_clock_mhz = self.clock("freq2_input", "pp_dpm_mclk");
        values.temperature_celsius = self.celsius(self.edge.or(self.junction), "input");
        values.throttle = self.metrics().and_then(|metrics| metrics.throttle());
    }

    pub(super) fn full(&self, values: &mut GpuValues) {
        values.power_limit_watts = self.watts("power1_cap");
        values.memory_temperature_celsius = self.celsius(self.memory, "input");
        values.hotspot_temperature_celsius = self.celsius(self.junction, "input");
        values.fan = self.fan();
        values.pcie = PcieValues {
            generation: self.generation("current_link_speed"),
            width: self.file("current_link_width"),
            // The driver has them by `pcie_bw` only, which watches the link for a second.
            received_bytes_per_second: None,
            sent_bytes_per_second: None,
            replays: self.file("pcie_replay_count"),
        };
        let errors = fs::read_to_string(self.device.join("ras/umc_err_count")).unwrap_or_default();
        values.ecc_corrected = number(&errors, "ce");
        values.ecc_uncorrected = number(&errors, "ue");
    }

    /// The energy counter, J.
    pub(super) fn energy(&self) -> Option<f64> {
        let sensor = self.sensor("energy1_input").map(|joules| joules / 1e6);
        sensor.or_else(|| self.metrics()?.energy(self.product.as_deref()))
    }

    fn metrics(&self) -> Option<Metrics> {
        fs::read(self.device.join("gpu_metrics"))
            .ok()
            .map(Metrics::new)
    }

    /// By the sensor, which has Hz, else the level in use.
    fn clock(&self, sensor: &str, levels: &str) -> Option<f64> {
        let sensed = self.sensor(sensor).map(|hertz| hertz / 1e6);
        sensed.or_else(|| self.levels(levels)?.current)
    }

    fn levels(&self, name: &str) -> Option<Levels> {
        Levels::parse(&fs::read_to_string(self.device.join(name)).ok()?)
    }

    fn generation(&self, name: &str) -> Option<u32> {
        generation(&line(&self.device.join(name))?)
    }

    fn fan(&self) -> Option<f64> {
        let part = |now: &str, most: &str| {
            let most = self.sensor(most).filter(|most| *most > 0.0)?;
            Some((self.sensor(now)? / most).min(1.0))
        };
        part("fan1_input", "fan1_max").or_else(|| part("pwm1", "pwm1_max"))
    }
}

/// The clocks that a part of the chip can have.
#[derive(Debug, PartialEq)]
struct Levels {
    current: Option<f64>,
    highest: f64,
}

impl Levels {
    /// Reads lines such as `1: 2482Mhz *`; the star is at the one in use.
    fn parse(text: &str) -> Option<Self> {
        let mut current = None;
        let mut highest: Option<f64> = None;
        for line in text.lines() {
            let (_, level) = line.split_once(':')?;
            let (level, in_use) = match level.trim().strip_suffix('*') {
                Some(level) => (level, true),
                None => (level, false),
            };
            let level = level.trim();
            let digits = level
                .strip_suffix("Mhz")
                .or_else(|| level.strip_suffix("MHz"))?;
            let megahertz: f64 = digits.trim().parse().ok()?;
            highest = Some(highest.map_or(megahertz, |highest| highest.max(megahertz)));
            if in_use {
                current = Some(megahertz);
            }
        }
        Some(Self {
            current,
            highest: highest?,
        })
    }
}

/// `16.0 GT/s PCIe` → 4
fn generation(speed: &str) -> Option<u32> {
    let transfers = speed.split_whitespace().next()?;
    ["2.5", "5.0", "8.0", "16.0", "32.0", "64.0"]
        .iter()
        .zip(1..)
        .find(|(known, _)| **known == transfers)
        .map(|(_, generation)| generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_links_are_read() {
        let levels = Levels::parse("0: 500Mhz\n1: 2482Mhz *\n2: 2304Mhz\n").unwrap();
        assert_eq!((levels.current, levels.highest), (Some(2482.0), 2482.0));
        assert_eq!(Levels::parse(""), None);
        assert_eq!(Levels::parse("S: off"), None);
        assert_eq!(generation("16.0 GT/s PCIe"), Some(4));
        assert_eq!(generation("Unknown"), None);
    }
}
