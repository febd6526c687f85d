//! Whether the kernel kills for want of memory.

use std::path::Path;

/// How many processes of this process's control group the kernel has killed for want of memory.
/// Children run in the same group. `None` where that is not counted.
pub(super) fn out_of_memory_kills() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let events = std::fs::read_to_string(
        Path::new("/sys/fs/cgroup")
            .join(group)
            .join("memory.events"),
    )
    .ok()?;
    count(&events)
}

fn count(events: &str) -> Option<u64> {
    events
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernels_count_is_read() {
        let events = "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 0\n";
        assert_eq!(super::count(events), Some(1));
        assert_eq!(super::count("low 0\n"), None);
    }
}
