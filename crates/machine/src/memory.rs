//! Main memory.

use serde::Serialize;

/// Main memory, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Installed, or as much as the kernel manages.
    pub total: Option<u64>,
    /// What a new program could take without swapping.
    pub available: Option<u64>,
    /// The most this process's container may use, where it is limited.
    pub limit: Option<u64>,
}

impl Memory {
    /// Looks at the memory.
    pub fn probe() -> Self {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let mut memory = Self::from_meminfo(&text);
        if memory.total.is_none() {
            memory.total = crate::sys::memory_total();
        }
        // Version 2 of the kernel's control groups, then version 1; "max" is no number.
        memory.limit = [
            "/sys/fs/cgroup/memory.max",
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        ]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse().ok())
        .filter(|limit| memory.total.is_none_or(|total| *limit < total));
        memory
    }

    fn from_meminfo(text: &str) -> Self {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            let kibibytes: u64 = line
                .trim_start_matches(':')
                .trim()
                .trim_end_matches("kB")
                .trim()
                .parse()
                .ok()?;
            kibibytes.checked_mul(1024)
        };
        Self {
            total: field("MemTotal"),
            available: field("MemAvailable"),
            limit: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_read() {
        let memory = Memory::from_meminfo("MemTotal:       100 kB\nMemAvailable:   40 kB\n");
        assert_eq!(memory.total, Some(102_400));
        assert_eq!(memory.available, Some(40_960));
        assert_eq!(Memory::from_meminfo("MemTotal: many kB"), Memory::default());
    }
}
