//! Who uses a card: the kernel tells it in `/proc/PID/fdinfo` of every open file of a card.

use super::super::procfs::{field, number};
use super::super::sample::GpuProcess;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often all processes are searched for open cards; those found are read at every full look.
const SEARCH: Duration = Duration::from_secs(5);

/// The open files of cards.
#[derive(Debug)]
pub(super) struct Clients {
    proc_root: PathBuf,
    searched: Option<Instant>,
    files: Vec<(u32, PathBuf)>,
    /// When each process's time on each card was read, and how much it was, ns.
    last: BTreeMap<(String, u32), (Instant, u64)>,
}

/// What one process does on one card.
#[derive(Debug, Default)]
struct Use {
    memory: Option<u64>,
    engines: Option<u64>,
}

impl Clients {
    pub(super) fn at(proc_root: &Path) -> Self {
        Self {
            proc_root: proc_root.to_owned(),
            searched: None,
            files: Vec::new(),
            last: BTreeMap::new(),
        }
    }

    /// The processes on the card at this address, as far as this user may look; `None` where there
    /// is no `/proc`.
    pub(super) fn on(&mut self, address: &str) -> Option<Vec<GpuProcess>> {
        let now = Instant::now();
        if self.searched.is_none_or(|then| now - then >= SEARCH) {
            self.files = search(&self.proc_root)?;
            self.searched = Some(now);
        }
        // Files that were handed on show the same client again; older kernels do not number them.
        let mut seen = BTreeSet::new();
        let mut uses: BTreeMap<u32, Use> = BTreeMap::new();
        for (pid, file) in &self.files {
            let Ok(text) = fs::read_to_string(file) else {
                continue;
            };
            if field(&text, "drm-pdev").is_none_or(|pdev| !pdev.eq_ignore_ascii_case(address))
                || number(&text, "drm-client-id").is_some_and(|client| !seen.insert(client))
            {
                continue;
            }
            let entry = uses.entry(*pid).or_default();
            add(&mut entry.memory, memory(&text));
            add(&mut entry.engines, engines(&text));
        }
        self.last
            .retain(|(card, pid), _| card != address || uses.contains_key(pid));
        Some(
            uses.into_iter()
                .map(|(pid, used)| GpuProcess {
                    pid,
                    memory_bytes: used.memory,
                    utilization: used
                        .engines
                        .and_then(|engines| self.share(address, pid, now, engines)),
                    ..GpuProcess::default()
                })
                .collect(),
        )
    }

    fn share(&mut self, address: &str, pid: u32, now: Instant, engines: u64) -> Option<f64> {
        let key = (address.to_owned(), pid);
        let (then, before) = self.last.insert(key, (now, engines))?;
        let passed = (now - then).as_secs_f64();
        let worked = Duration::from_nanos(engines.checked_sub(before)?).as_secs_f64();
        (passed > 0.0).then(|| (worked / passed).min(1.0))
    }
}

fn add(sum: &mut Option<u64>, more: Option<u64>) {
    *sum = match (*sum, more) {
        (Some(sum), Some(more)) => Some(sum.saturating_add(more)),
        (sum, more) => sum.or(more),
    };
}

/// The files that are open cards.
fn search(proc_root: &Path) -> Option<Vec<(u32, PathBuf)>> {
    let mut found = Vec::new();
    for process in fs::read_dir(proc_root).ok()?.flatten() {
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        for file in fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten()
        {
            if fs::read_link(file.path()).is_ok_and(|target| target.starts_with("/dev/dri")) {
                let info = process.path().join("fdinfo").join(file.file_name());
                found.push((pid, info));
            }
        }
    }
    found.sort();
    Some(found)
}

/// Device memory, bytes; newer kernels have the second name.
fn memory(text: &str) -> Option<u64> {
    let given = field(text, "drm-memory-vram").or_else(|| field(text, "drm-resident-vram"))?;
    let mut words = given.split_whitespace();
    let count: u64 = words.next()?.parse().ok()?;
    let unit = match words.next() {
        None => 1,
        Some("KiB") => 1 << 10,
        Some("MiB") => 1 << 20,
        Some(_) => return None,
    };
    count.checked_mul(unit)
}

/// Time that shaders worked for it, ns. Video engines are left out: they are another chip's work.
fn engines(text: &str) -> Option<u64> {
    let mut sum = None;
    for engine in ["drm-engine-gfx", "drm-engine-compute"] {
        add(&mut sum, number(text, engine));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_without_a_number_all_count_and_numbered_ones_once() {
        let proc_root = tempfile::tempdir().unwrap();
        let open = |pid: u32, file: u32, client: &str| {
            let folder = proc_root.path().join(pid.to_string());
            for name in ["fd", "fdinfo"] {
                fs::create_dir_all(folder.join(name)).unwrap();
            }
            let link = folder.join(format!("fd/{file}"));
            std::os::unix::fs::symlink("/dev/dri/renderD128", link).unwrap();
            let text = format!("drm-pdev:\t0000:03:00.0\n{client}drm-memory-vram:\t1 KiB\n");
            fs::write(folder.join(format!("fdinfo/{file}")), text).unwrap();
        };
        open(1, 3, "");
        open(2, 3, "");
        open(3, 3, "drm-client-id:\t9\n");
        open(3, 4, "drm-client-id:\t9\n");
        let found = Clients::at(proc_root.path()).on("0000:03:00.0").unwrap();
        let memory: Vec<_> = found
            .iter()
            .map(|one| (one.pid, one.memory_bytes))
            .collect();
        assert_eq!(memory, [(1, Some(1024)), (2, Some(1024)), (3, Some(1024))]);
    }
}
