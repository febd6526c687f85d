//! The machine as a whole, from `/proc`.

use super::procfs::{first_numbers, kibibytes};
use super::sample::HostSample;
use crate::sys;
use std::fs;
use std::path::{Path, PathBuf};

/// Reads the machine's figures again and again.
#[derive(Debug)]
pub(super) struct HostReader {
    root: PathBuf,
    /// Busy and whole time of the last reading, in ticks.
    last: Option<(u64, u64)>,
}

impl HostReader {
    /// `root` is where `/proc` is.
    pub(super) fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            last: None,
        }
    }

    pub(super) fn read(&mut self) -> HostSample {
        let text = |name: &str| fs::read_to_string(self.root.join(name)).unwrap_or_default();
        let mut host = HostSample::default();

        let stat = text("stat");
        let times = stat.lines().find_map(|line| line.strip_prefix("cpu "));
        if let Some(&[user, nice, system, idle, iowait, irq, softirq, steal]) =
            times.and_then(first_numbers::<8>).as_ref()
        {
            let ticks = sys::clock_ticks() as f64;
            let seconds = |count: u64| Some(count as f64 / ticks);
            host.cpu_user_seconds = seconds(user + nice);
            host.cpu_system_seconds = seconds(system + irq + softirq);
            host.cpu_idle_seconds = seconds(idle);
            host.cpu_iowait_seconds = seconds(iowait);
            let busy = user + nice + system + irq + softirq + steal;
            let now = (busy, busy + idle + iowait);
            host.cpu_utilization = self.last.and_then(|last| {
                let whole = now.1.checked_sub(last.1).filter(|whole| *whole > 0)?;
                Some(now.0.saturating_sub(last.0) as f64 / whole as f64)
            });
            self.last = Some(now);
        }

        host.load_1m = text("loadavg")
            .split_whitespace()
            .next()
            .and_then(|load| load.parse().ok());

        let memory = text("meminfo");
        host.memory_total_bytes = kibibytes(&memory, "MemTotal");
        host.memory_available_bytes = kibibytes(&memory, "MemAvailable");
        host.swap_used_bytes = kibibytes(&memory, "SwapTotal")
            .zip(kibibytes(&memory, "SwapFree"))
            .and_then(|(total, free)| total.checked_sub(free));
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_from_the_files_and_shares_from_two_readings() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(root.path().join(name), text).unwrap();
        write(
            "stat",
            "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 1\n",
        );
        write("loadavg", "0.52 0.58 0.59 1/977 12345\n");
        write(
            "meminfo",
            "MemTotal: 1000 kB\nMemAvailable: 400 kB\nSwapTotal: 10 kB\nSwapFree: 4 kB\n",
        );
        let mut reader = HostReader::at(root.path());
        let first = reader.read();
        assert_eq!(first.cpu_utilization, None, "one reading has no share");
        assert_eq!(first.load_1m, Some(0.52));
        assert_eq!(first.memory_available_bytes, Some(400 * 1024));
        assert_eq!(first.swap_used_bytes, Some(6 * 1024));

        write("stat", "cpu  175 0 50 825 50 0 0 0 0 0\n");
        assert_eq!(reader.read().cpu_utilization, Some(0.75));
    }

    #[test]
    fn without_the_files_nothing_is_known() {
        let mut reader = HostReader::at(Path::new("/there/is/no/such/folder"));
        assert_eq!(reader.read(), HostSample::default());
    }
}
