//! AMD's GPUs, by the files that the kernel's `amdgpu` driver shows. No library is needed.

mod clients;
mod metrics;
mod tree;

use super::sample::{Absence, Detail, GpuDevice, GpuValues};
use super::source::{DeviceError, GpuSource};
use clients::Clients;
use std::fs;
use std::path::{Path, PathBuf};
use tree::Card;

const NAME: &str = "amdgpu";
/// AMD's number on the PCI bus.
const VENDOR: &str = "0x1002";

/// The cards below `/sys/class/drm`.
#[derive(Debug)]
pub struct AmdSource {
    sys: PathBuf,
    clients: Clients,
    cards: Vec<Card>,
}

impl Default for AmdSource {
    fn default() -> Self {
        Self::at("/sys", "/proc")
    }
}

impl AmdSource {
    /// Those of recorded trees, for tests: where `/sys` and `/proc` are.
    pub fn at(sys: impl AsRef<Path>, proc_root: impl AsRef<Path>) -> Self {
        Self {
            sys: sys.as_ref().to_owned(),
            clients: Clients::at(proc_root.as_ref()),
            cards: Vec::new(),
        }
    }
}

impl GpuSource for AmdSource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn open(&mut self) -> Result<Vec<GpuDevice>, Absence> {
        let folder = self.sys.join("class/drm");
        let mut cards: Vec<(u32, PathBuf)> = fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                // `card0` is a card, `card0-DP-1` one of its outputs.
                let name = entry.file_name().into_string().ok()?;
                let number = name.strip_prefix("card")?.parse().ok()?;
                let device = entry.path().join("device");
                let vendor = super::procfs::line(&device.join("vendor"))?;
                (vendor == VENDOR).then_some((number, device))
            })
            .collect();
        cards.sort();
        if cards.is_empty() {
            let reason = format!(
                "there is no AMD GPU (no card of AMD in {})",
                folder.display()
            );
            return Err(Absence::new(NAME, reason));
        }
        self.cards = cards.into_iter().map(|(_, path)| Card::at(path)).collect();
        Ok((0_u32..)
            .zip(&self.cards)
            .map(|(index, card)| card.describe(NAME, index))
            .collect())
    }

    fn read(
        &mut self,
        position: usize,
        detail: Detail,
        values: &mut GpuValues,
    ) -> Result<(), DeviceError> {
        let card = self.cards.get(position).ok_or_else(lost)?;
        if !card.is_there() {
            return Err(lost());
        }
        card.quick(values);
        if detail == Detail::Full {
            card.full(values);
            values.processes = card.address().and_then(|address| self.clients.on(address));
        }
        Ok(())
    }

    fn energy(&mut self, position: usize) -> Result<Option<f64>, DeviceError> {
        let card = self.cards.get(position).ok_or_else(lost)?;
        Ok(card.energy())
    }
}

fn lost() -> DeviceError {
    DeviceError {
        lost: true,
        reason: "it is no longer there".to_owned(),
    }
}

#[cfg(test)]
mod tests;
