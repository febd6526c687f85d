//! The driver's binary table `gpu_metrics`: a size, two revision numbers, then fields at places
//! that the revision says (`kgd_pp_interface.h` of the kernel).

use super::super::sample::ThrottleReason;

/// One step of the energy counter, J.
const STEP: f64 = 1.0 / 65_536.0;
/// Instinct MI100 and MI200: their tables up to revision 1.3 count in that step. What other boards
/// of these revisions count in is not told, so it is not used.
const KNOWN_STEP: [&str; 6] = ["0x738c", "0x738e", "0x7408", "0x740c", "0x740f", "0x7410"];
/// Where the counter is, from revision 1.1 to 1.4.
const ENERGY: usize = 24;
/// Where revision 1.3 has the reasons of throttling by numbers that are alike for all boards.
const THROTTLE: usize = 112;

/// The table as it was read.
#[derive(Debug)]
pub(super) struct Metrics {
    bytes: Vec<u8>,
}

impl Metrics {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    fn revision(&self) -> Option<(u8, u8)> {
        Some((*self.bytes.get(2)?, *self.bytes.get(3)?))
    }

    /// All bits set means that the board does not tell.
    fn number(&self, at: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at + 8)?.try_into().ok()?;
        Some(u64::from_le_bytes(bytes)).filter(|number| *number != u64::MAX)
    }

    /// The energy counter, J.
    pub(super) fn energy(&self, product: Option<&str>) -> Option<f64> {
        let known = match self.revision()? {
            (1, 1..=3) => product.is_some_and(|product| KNOWN_STEP.contains(&product)),
            (1, 4) => true,
            _ => false,
        };
        known
            .then(|| self.number(ENERGY))?
            .map(|steps| steps as f64 * STEP)
    }

    /// Why the clocks are held down.
    pub(super) fn throttle(&self) -> Option<Vec<ThrottleReason>> {
        if self.revision()? != (1, 3) {
            return None;
        }
        let bits = self.number(THROTTLE)?;
        let mut reasons: Vec<ThrottleReason> = (0..64)
            .filter(|bit| bits >> bit & 1 == 1)
            .map(|bit| match bit {
                0..=7 => ThrottleReason::PowerCap,
                16..=23 => ThrottleReason::CurrentLimit,
                46 | 47 => ThrottleReason::HardwareThermal,
                32..=45 => ThrottleReason::SoftwareThermal,
                _ => ThrottleReason::Other,
            })
            .collect();
        reasons.sort_unstable();
        reasons.dedup();
        Some(reasons)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(content: u8, energy: u64, throttle: u64) -> Metrics {
        let mut bytes = vec![0; 120];
        bytes[..4].copy_from_slice(&[120, 0, 1, content]);
        bytes[ENERGY..ENERGY + 8].copy_from_slice(&energy.to_le_bytes());
        bytes[THROTTLE..].copy_from_slice(&throttle.to_le_bytes());
        Metrics::new(bytes)
    }

    #[test]
    fn energy_is_told_only_where_its_step_is_known() {
        assert_eq!(table(3, 65_536, 0).energy(Some("0x740f")), Some(1.0));
        assert_eq!(table(3, 65_536, 0).energy(Some("0x744c")), None);
        assert_eq!(table(4, 131_072, 0).energy(None), Some(2.0));
        assert_eq!(table(3, u64::MAX, 0).energy(Some("0x740f")), None);
        assert_eq!(table(9, 65_536, 0).energy(Some("0x740f")), None);
    }

    #[test]
    fn reasons_are_named_once() {
        let bits = 1 | 1 << 1 | 1 << 16 | 1 << 36 | 1 << 47 | 1 << 57;
        assert_eq!(
            table(3, 0, bits).throttle().unwrap(),
            [
                ThrottleReason::PowerCap,
                ThrottleReason::CurrentLimit,
                ThrottleReason::SoftwareThermal,
                ThrottleReason::HardwareThermal,
                ThrottleReason::Other,
            ]
        );
        assert_eq!(table(3, 0, 0).throttle(), Some(Vec::new()));
        assert_eq!(table(4, 0, 0).throttle(), None);
    }

    #[test]
    fn a_short_table_tells_nothing() {
        for length in 0..32 {
            let metrics = Metrics::new(vec![1; length]);
            assert_eq!(
                (metrics.energy(Some("0x740f")), metrics.throttle()),
                (None, None)
            );
        }
    }
}
