//! `llt gpu`

use super::Session;
use crate::outcome::ExitStatus;
use crate::quantity;
use crate::table::Table;
use llamatelemetry::machine::Machine;

pub(crate) fn gpu(session: &Session) -> anyhow::Result<ExitStatus> {
    let machine = Machine::probe();
    let printer = &session.printer;
    if printer.is_json() {
        printer.document(&machine)?;
        return Ok(ExitStatus::Done);
    }
    match &machine.gpus {
        Ok(found) => {
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
        }
        Err(missing) => printer.line(missing.to_string())?,
    }
    let cpu = &machine.cpu;
    let model = cpu.model.as_deref().unwrap_or("unknown processor");
    let memory = machine.memory.total.map(quantity::bytes);
    printer.line(format!(
        "processor: {model}, {}; memory: {}",
        quantity::counted(u64::from(cpu.logical), "thread"),
        memory.as_deref().unwrap_or("unknown")
    ))?;
    Ok(ExitStatus::Done)
}
