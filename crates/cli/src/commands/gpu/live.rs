//! How a sample looks.

use crate::printer::Printer;
use crate::quantity;
use crate::table::Table;
use llamatelemetry::machine::Sample;
use llamatelemetry::machine::sampler::{GpuSample, HostSample};
use std::fmt::Write as _;

/// In place of a figure that is not known.
const UNKNOWN: &str = "–";

/// The GPUs, one a row.
pub(super) fn table(sample: &Sample) -> Table {
    let mut table = Table::new()
        .right("gpu")
        .left("name")
        .right("use")
        .right("memory")
        .right("power")
        .right("clocks")
        .right("temp")
        .left("held back by");
    for gpu in &sample.gpus {
        let values = &gpu.values;
        table.row([
            number(gpu),
            gpu.device.name.clone(),
            or_unknown(values.utilization.map(percent)),
            or_unknown(memory(gpu)),
            or_unknown(power(gpu)),
            or_unknown(clocks(gpu)),
            or_unknown(values.temperature_celsius.map(celsius)),
            or_unknown(held_back(gpu)),
        ]);
    }
    table
}

/// A whole screen: the GPUs, the machine, and what is not there.
pub(super) fn screen(sample: &Sample, printer: &Printer) -> String {
    let mut text = String::new();
    if !sample.gpus.is_empty() {
        text.push_str(&printer.render(&table(sample)));
    }
    text.push_str(&host(&sample.host));
    text.push('\n');
    for absence in missed(sample) {
        text.push_str(&printer.style().faint(&absence));
        text.push('\n');
    }
    text
}

/// One line a GPU and one for the machine, for files and other programs.
pub(super) fn lines(sample: &Sample) -> String {
    let mut text = String::new();
    for gpu in &sample.gpus {
        let values = &gpu.values;
        let parts = [
            values
                .utilization
                .map(|share| format!("use {}", percent(share))),
            memory(gpu).map(|memory| format!("memory {memory}")),
            power(gpu).map(|power| format!("power {power}")),
            clocks(gpu).map(|clocks| format!("clocks {clocks}")),
            values
                .temperature_celsius
                .map(|temperature| format!("at {}", celsius(temperature))),
            held_back(gpu)
                .filter(|reasons| reasons != NOTHING)
                .map(|reasons| format!("held back by {reasons}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let known = if parts.is_empty() {
            "nothing is known".to_owned()
        } else {
            parts.join(", ")
        };
        writeln!(text, "gpu {}: {known}", number(gpu)).ok();
    }
    text.push_str(&host(&sample.host));
    text.push('\n');
    text
}

/// Absences that a person wants to know: that another maker's GPU is not there, too, is none.
fn missed(sample: &Sample) -> Vec<String> {
    sample
        .absences
        .iter()
        .filter(|absence| {
            absence.device.is_some() || absence.source == "sampler" || sample.gpus.is_empty()
        })
        .map(|absence| match &absence.device {
            Some(device) => format!("{} {device}: {}", absence.source, absence.reason),
            None => format!("{}: {}", absence.source, absence.reason),
        })
        .collect()
}

/// A GPU's number; a MIG instance's after its GPU's.
fn number(gpu: &GpuSample) -> String {
    let index = gpu.device.index;
    if gpu.device.parent.is_some() {
        format!("mig {index}")
    } else {
        index.to_string()
    }
}

fn memory(gpu: &GpuSample) -> Option<String> {
    let used = quantity::bytes(gpu.values.memory_used_bytes?);
    Some(match gpu.values.memory_total_bytes {
        Some(total) => format!("{used} of {}", quantity::bytes(total)),
        None => used,
    })
}

fn power(gpu: &GpuSample) -> Option<String> {
    let watts = gpu.values.power_watts?;
    Some(match gpu.values.power_limit_watts {
        Some(limit) => format!("{watts:.0} of {limit:.0} W"),
        None => format!("{watts:.0} W"),
    })
}

/// Told where nothing holds the clocks down.
const NOTHING: &str = "nothing";

fn held_back(gpu: &GpuSample) -> Option<String> {
    let reasons = gpu.values.throttle.as_ref()?;
    let names: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
    Some(if names.is_empty() {
        NOTHING.to_owned()
    } else {
        names.join(", ")
    })
}

fn host(host: &HostSample) -> String {
    let used = host
        .memory_total_bytes
        .zip(host.memory_available_bytes)
        .map(|(total, available)| {
            let used = quantity::bytes(total.saturating_sub(available));
            format!("{used} of {}", quantity::bytes(total))
        });
    format!(
        "processors: use {}, memory {}",
        or_unknown(host.cpu_utilization.map(percent)),
        or_unknown(used)
    )
}

fn or_unknown(text: Option<String>) -> String {
    text.unwrap_or_else(|| UNKNOWN.to_owned())
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Of the multiprocessors and of the memory.
fn clocks(gpu: &GpuSample) -> Option<String> {
    let sm = gpu.values.sm_clock_mhz?;
    Some(match gpu.values.memory_clock_mhz {
        Some(memory) => format!("{sm:.0}/{memory:.0} MHz"),
        None => format!("{sm:.0} MHz"),
    })
}

fn celsius(temperature: f64) -> String {
    format!("{temperature:.0} °C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::printer::Style;
    use llamatelemetry::machine::sampler::{AmdSource, GpuValues};
    use llamatelemetry::machine::{Sampler, SamplerConfig};
    use std::path::Path;

    /// What the sampler makes of a recorded tree. The host's figures are this machine's.
    fn recorded(board: &str) -> Sample {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../machine/testdata/amd")
            .join(board);
        let source = AmdSource::at(root.join("sys"), root.join("proc"));
        let config = SamplerConfig::of(vec![Box::new(source)], Vec::new());
        let sampler = Sampler::start(config).unwrap();
        let mut sample = (*sampler.subscribe().recv().unwrap()).clone();
        sample.host = HostSample {
            cpu_utilization: Some(0.125),
            memory_total_bytes: Some(64_000_000_000),
            memory_available_bytes: Some(48_000_000_000),
            ..HostSample::default()
        };
        sample
    }

    #[test]
    fn a_table_of_what_happens_now() {
        let text = |board| table(&recorded(board)).render(None, Style::plain());
        insta::assert_snapshot!(text("rx7900xtx"), @"
        GPU  NAME             USE             MEMORY         POWER         CLOCKS   TEMP  HELD BACK BY
          0  AMD GPU 0x744c  97 %  9.7 GB of 25.8 GB  303 of 339 W  2371/1249 MHz  61 °C  power cap
        ");
        insta::assert_snapshot!(text("mi210"), @"
        GPU  NAME                USE              MEMORY        POWER        CLOCKS   TEMP  HELD BACK BY
          0  AMD Instinct MI210  0 %  11.0 MB of 68.7 GB  41 of 300 W  800/1600 MHz  36 °C  nothing
        ");
    }

    #[test]
    fn lines_for_files() {
        insta::assert_snapshot!(lines(&recorded("rx7900xtx")), @"
        gpu 0: use 97 %, memory 9.7 GB of 25.8 GB, power 303 of 339 W, clocks 2371/1249 MHz, at 61 °C, held back by power cap
        processors: use 12 %, memory 16.0 GB of 64.0 GB
        ");
    }

    #[test]
    fn what_is_not_known_is_not_zero() {
        let mut sample = recorded("mi210");
        sample.gpus[0].values = GpuValues::default();
        sample.host = HostSample::default();
        insta::assert_snapshot!(table(&sample).render(None, Style::plain()), @"
        GPU  NAME                USE  MEMORY  POWER  CLOCKS  TEMP  HELD BACK BY
          0  AMD Instinct MI210    –       –      –       –     –  –
        ");
        insta::assert_snapshot!(lines(&sample), @"
        gpu 0: nothing is known
        processors: use –, memory –
        ");
    }
}
