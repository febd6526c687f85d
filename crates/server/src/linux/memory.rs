//! Whether the kernel kills for want of memory.

use std::path::{Path, PathBuf};

/// How many processes of this process's control group the kernel has killed for want of memory.
/// Children run in the same group. `None` where that is not counted.
pub(super) fn out_of_memory_kills() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    counters(&groups)
        .into_iter()
        .find_map(|file| count(&std::fs::read_to_string(file).ok()?))
}

/// The files that may hold the count, for both versions of control groups. Inside a container of
/// version 1 the group's own folder is mounted at the root, whatever its path says.
fn counters(groups: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else {
            continue;
        };
        let group = group.trim_start_matches('/');
        if controllers.is_empty() {
            files.push(root.join(group).join("memory.events"));
        } else if controllers.split(',').any(|name| name == "memory") {
            let memory = root.join("memory");
            files.push(memory.join(group).join("memory.oom_control"));
            files.push(memory.join("memory.oom_control"));
        }
    }
    files
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
    fn both_versions_of_control_groups_are_looked_up() {
        let groups = "5:cpu:/a\n4:memory:/docker/b\n0::/user.slice/c\n";
        let files: Vec<String> = super::counters(groups)
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        assert_eq!(
            files,
            [
                "/sys/fs/cgroup/memory/docker/b/memory.oom_control",
                "/sys/fs/cgroup/memory/memory.oom_control",
                "/sys/fs/cgroup/user.slice/c/memory.events",
            ]
        );
    }

    #[test]
    fn the_kernels_count_is_read() {
        let events = "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 0\n";
        assert_eq!(super::count(events), Some(1));
        assert_eq!(super::count("low 0\n"), None);
    }
}
