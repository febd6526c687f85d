//! Whether answers leave after the disk has what they answer, read from what strace saw.

use crate::project::Project;
use anyhow::{Result, bail};
use std::process::Stdio;

/// What was seen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// Answers that say that all is well.
    pub(super) answers: usize,
    /// Those that left while something written to the journal was not yet synced.
    pub(super) early: usize,
}

pub(super) fn can_trace(project: &Project) -> bool {
    let mut strace = project.command("strace");
    let version = strace.arg("--version").stdout(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// The command that runs another and writes down what it writes and syncs.
pub(super) fn wrapper(file: &str) -> [&str; 8] {
    let calls = "trace=write,writev,pwrite64,sendto,sendmsg,fdatasync";
    ["strace", "-f", "-y", "-e", calls, "-s64", "-o", file]
}

/// Reads it, of requests that came one after the other: when one is answered nothing that was
/// written may be unsynced. A sync covers what was written before it began.
pub(super) fn read(trace: &str) -> Result<Order> {
    let mut order = Order {
        answers: 0,
        early: 0,
    };
    // Writes so far, those that the sync under way covers, and those that are durable.
    let (mut written, mut syncing, mut durable) = (0_usize, 0, 0);
    for line in trace.lines() {
        let in_journal = line.contains(".journal>");
        if in_journal && line.contains(" write(") {
            written += 1;
        }
        if in_journal && line.contains("fdatasync(") {
            syncing = written;
        }
        if line.contains("fdatasync") && line.trim_end().ends_with("= 0") {
            durable = syncing;
        }
        if line.contains("HTTP/1.1 200") {
            order.answers += 1;
            order.early += usize::from(durable < written);
        }
    }
    if order.answers == 0 || written == 0 {
        bail!("strace saw {} answers and {written} writes", order.answers);
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: &str = r#"
7 write(9</s/1.journal>, "head", 4) = 4
7 write(9</s/1.journal>, "body", 4) = 4
7 fdatasync(9</s/1.journal> <unfinished ...>
8 write(3</tmp/other>, "x", 1) = 1
7 <... fdatasync resumed>) = 0
8 sendto(5<TCP:[1]>, "HTTP/1.1 200 OK\r\n", 64, 0, NULL, 0) = 64
"#;

    #[test]
    fn answers_after_their_sync_are_told_from_early_ones() {
        let order = |early| Order { answers: 1, early };
        assert_eq!(read(SEEN).unwrap(), order(0));
        let unsynced = SEEN.replace("fdatasync", "nothing");
        assert_eq!(read(&unsynced).unwrap(), order(1));
        assert!(read("").is_err());
    }
}
