//! Processes of this machine, from `/proc`.

use super::procfs::{field, kibibytes, number};
use super::sample::ProcessSample;
use crate::sys;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Reads the figures of some processes again and again.
#[derive(Debug)]
pub(super) struct ProcessReader {
    root: PathBuf,
    /// When each process was read last, its start time and its processor time then, in ticks.
    last: BTreeMap<u32, (Instant, u64, u64)>,
}

impl ProcessReader {
    /// `root` is where `/proc` is.
    pub(super) fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            last: BTreeMap::new(),
        }
    }

    /// Those of the processes that run.
    pub(super) fn read(&mut self, pids: &[u32], now: Instant) -> Vec<ProcessSample> {
        self.last.retain(|pid, _| pids.contains(pid));
        let uptime: Option<f64> = fs::read_to_string(self.root.join("uptime"))
            .ok()
            .and_then(|text| text.split_whitespace().next()?.parse().ok());
        pids.iter()
            .filter_map(|pid| self.process(*pid, now, uptime))
            .collect()
    }

    fn process(&mut self, pid: u32, now: Instant, uptime: Option<f64>) -> Option<ProcessSample> {
        let folder = self.root.join(pid.to_string());
        let text = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        let stat = Stat::parse(&fs::read_to_string(folder.join("stat")).ok()?)?;
        let status = text("status");
        let io = text("io");

        let ticks = sys::clock_ticks() as f64;
        let seconds = |count: u64| count as f64 / ticks;
        let used = stat.user + stat.system;
        let last = self.last.insert(pid, (now, stat.started, used));
        Some(ProcessSample {
            pid,
            name: field(&status, "Name").map(str::to_owned),
            cpu_user_seconds: Some(seconds(stat.user)),
            cpu_system_seconds: Some(seconds(stat.system)),
            cpu_utilization: last
                // Another process may have taken the number since.
                .filter(|(_, started, _)| *started == stat.started)
                .and_then(|(then, _, before)| {
                    let passed = now.checked_duration_since(then)?.as_secs_f64();
                    (passed > 0.0).then(|| seconds(used.saturating_sub(before)) / passed)
                }),
            memory_resident_bytes: stat.resident_pages.checked_mul(sys::page_size()),
            memory_virtual_bytes: kibibytes(&status, "VmSize").or(Some(stat.virtual_bytes)),
            threads: Some(stat.threads),
            open_files: fs::read_dir(folder.join("fd"))
                .ok()
                .and_then(|entries| u64::try_from(entries.count()).ok()),
            disk_read_bytes: number(&io, "read_bytes"),
            disk_written_bytes: number(&io, "write_bytes"),
            context_switches_voluntary: number(&status, "voluntary_ctxt_switches"),
            context_switches_involuntary: number(&status, "nonvoluntary_ctxt_switches"),
            page_faults_minor: Some(stat.minor_faults),
            page_faults_major: Some(stat.major_faults),
            uptime_seconds: uptime
                .map(|uptime| uptime - seconds(stat.started))
                .filter(|running| *running >= 0.0),
        })
    }
}

/// What is needed of `/proc/PID/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    minor_faults: u64,
    major_faults: u64,
    user: u64,
    system: u64,
    threads: u64,
    started: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name, in brackets, may hold anything, brackets and spaces too.
        let (_, rest) = text.rsplit_once(") ")?;
        let words: Vec<&str> = rest.split_whitespace().collect();
        // The manual counts from 1 and the state, the first word here, is its third.
        let number = |place: usize| words.get(place - 3)?.parse::<i64>().ok();
        let count = |place: usize| u64::try_from(number(place)?).ok();
        Some(Self {
            minor_faults: count(10)?,
            major_faults: count(12)?,
            user: count(14)?,
            system: count(15)?,
            threads: count(20)?,
            started: count(22)?,
            virtual_bytes: words.get(20)?.parse().ok()?,
            resident_pages: count(24)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const STAT: &str = "42 (a (b) c) S 1 42 42 0 -1 4194304 500 9 3 0 120 30 0 0 20 0 7 0 1000 \
        1048576 25 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n";

    #[test]
    fn a_name_with_brackets_shifts_nothing() {
        assert_eq!(
            Stat::parse(STAT),
            Some(Stat {
                minor_faults: 500,
                major_faults: 3,
                user: 120,
                system: 30,
                threads: 7,
                started: 1000,
                virtual_bytes: 1_048_576,
                resident_pages: 25,
            })
        );
        assert_eq!(Stat::parse("42 (half"), None);
        assert_eq!(Stat::parse("42 (short) S 1"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_read() {
        let pid = std::process::id();
        let mut reader = ProcessReader::at(Path::new("/proc"));
        let then = Instant::now();
        let first = reader.read(&[pid, u32::MAX], then);
        assert_eq!(first.len(), 1, "the other one does not run");
        assert!(first[0].memory_resident_bytes > Some(1 << 16));
        assert!(first[0].threads >= Some(1));
        assert!(first[0].open_files >= Some(3));
        assert_eq!(first[0].cpu_utilization, None);
        let second = reader.read(&[pid], then + Duration::from_secs(1));
        assert!(second[0].cpu_utilization.is_some());
    }
}
