//! `llt gpu`

mod live;

use super::Session;
use crate::args::GpuArgs;
use crate::outcome::ExitStatus;
use crate::printer::Printer;
use crate::quantity;
use crate::table::Table;
use llamatelemetry::machine::sampler::{Detail, Subscription};
use llamatelemetry::machine::{GpuInventory, Machine, Sample, Sampler, SamplerConfig};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a driver may take to wake up.
const PATIENCE: Duration = Duration::from_secs(10);
/// The newest sample is drawn so often.
const REDRAW: Duration = Duration::from_secs(1);

pub(crate) fn gpu(args: &GpuArgs, session: &Session) -> anyhow::Result<ExitStatus> {
    let sampler = sampler(session)?;
    if args.watch {
        watch(&sampler.subscribe(), &session.printer)?;
    } else {
        once(&sampler, &session.printer)?;
    }
    Ok(ExitStatus::Done)
}

/// This machine's sampler, one with those of other programs where that can be.
fn sampler(session: &Session) -> anyhow::Result<Sampler> {
    let config = SamplerConfig::this_machine();
    let environment = &session.settings().environment;
    let config = match llamatelemetry::server::runtime_folder(environment) {
        Ok(folder) => config.shared_in(folder),
        Err(error) => {
            session.printer.warn(error.to_string());
            config
        }
    };
    Ok(Sampler::start(config)?)
}

/// What `llt gpu --json` prints: what the machine is, and what it does now.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    machine: &'a Machine,
    sample: Option<&'a Sample>,
}

fn once(sampler: &Sampler, printer: &Printer) -> anyhow::Result<()> {
    let machine = Machine::probe();
    let sample = two_looks(sampler);
    let sample = sample.as_deref();
    if printer.is_json() {
        printer.document(&Document {
            machine: &machine,
            sample,
        })?;
        return Ok(());
    }
    let seen = sample.is_some_and(|sample| !sample.gpus.is_empty());
    match &machine.gpus {
        Ok(found) => inventory(found, printer)?,
        // GPUs of other makers are known to the sampler only.
        Err(_) if seen => {}
        Err(missing) => printer.line(missing.to_string())?,
    }
    if let Some(sample) = sample.filter(|_| seen) {
        printer.line("")?;
        printer.table(&live::table(sample))?;
        printer.line("")?;
    }
    let cpu = &machine.cpu;
    let model = cpu.model.as_deref().unwrap_or("unknown processor");
    let memory = machine.memory.total.map(quantity::bytes);
    printer.line(format!(
        "processor: {model}, {}; memory: {}",
        quantity::counted(u64::from(cpu.logical), "thread"),
        memory.as_deref().unwrap_or("unknown")
    ))?;
    Ok(())
}

/// The second of two full looks: some figures are differences.
fn two_looks(sampler: &Sampler) -> Option<Arc<Sample>> {
    let deadline = Instant::now() + PATIENCE;
    let subscription = sampler.subscribe();
    let next = || subscription.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    let first = next()?;
    sampler.look_now();
    while let Some(sample) = next() {
        if sample.detail == Detail::Full {
            return Some(sample);
        }
    }
    Some(first)
}

fn inventory(found: &GpuInventory, printer: &Printer) -> anyhow::Result<()> {
    let version = |numbers: (u32, u32)| format!("{}.{}", numbers.0, numbers.1);
    let mut table = Table::new()
        .right("gpu")
        .left("name")
        .right("memory")
        .right("free")
        .right("capability");
    for gpu in &found.gpus {
        table.row([
            gpu.index.to_string(),
            gpu.name.clone(),
            gpu.memory_total.map(quantity::bytes).unwrap_or_default(),
            gpu.memory_free.map(quantity::bytes).unwrap_or_default(),
            gpu.compute_capability.map(version).unwrap_or_default(),
        ]);
    }
    printer.table(&table)?;
    let driver = found.driver_version.as_deref().unwrap_or("unknown");
    let cuda = found.cuda_version.map(version);
    let cuda = cuda.as_deref().unwrap_or("unknown");
    printer.line(format!("driver {driver}, CUDA up to {cuda}"))?;
    Ok(())
}

/// Shows one sample after another until it is stopped: on a terminal in place, elsewhere in lines.
fn watch(subscription: &Subscription, printer: &Printer) -> anyhow::Result<()> {
    let mut drawn = None;
    let mut lines_above = 0;
    while let Some(sample) = subscription.recv() {
        if printer.is_json() {
            printer.document_line(&*sample)?;
            continue;
        }
        // Another program's work may make samples come ten times a second.
        if drawn.is_some_and(|drawn: Instant| drawn.elapsed() < REDRAW * 9 / 10) {
            continue;
        }
        drawn = Some(Instant::now());
        if printer.redraws() {
            let text = live::screen(&sample, printer);
            let back = if lines_above > 0 {
                format!("\u{1b}[{lines_above}A\u{1b}[J")
            } else {
                String::new()
            };
            let lines: Vec<_> = text.lines().map(|line| printer.fit(line)).collect();
            lines_above = lines.len();
            printer.data(&format!("{back}{}\n", lines.join("\n")))?;
        } else {
            printer.data(&live::lines(&sample))?;
        }
    }
    Ok(())
}
