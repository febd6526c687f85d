//! What a process takes, from `/proc`.

use super::sys;
use crate::ownership::Footprint;
use std::fs;
use std::path::Path;
use std::time::Duration;

pub(super) fn of(pid: u32) -> Option<Footprint> {
    let folder = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // Not the proportional size: what a server has of common pages grows when another one goes, and
    // a budget needs figures that add up.
    let memory = kibibytes(&fs::read_to_string(folder.join("status")).ok()?, "VmRSS:")?;
    Some(Footprint {
        memory,
        processor_time: processor_time(&stat)?,
    })
}

/// The bytes that a line of this name tells in kibibytes.
fn kibibytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    number.checked_mul(1024)
}

/// User and system time of all threads.
fn processor_time(stat: &str) -> Option<Duration> {
    // The name, in brackets, may hold anything; what follows its end is numbers.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    let ticks = user.checked_add(system)?;
    Some(Duration::from_millis(
        ticks.checked_mul(1000)? / sys::ticks_per_second()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_read() {
        let footprint = of(std::process::id()).unwrap();
        assert!(footprint.memory > 100 << 10, "{footprint:?}");
        assert_eq!(of(u32::MAX), None);
    }

    #[test]
    fn a_line_is_found_by_its_whole_name() {
        let status = "VmHWM:	  200 kB
VmRSS:	  100 kB
RssAnon:	 40 kB
";
        assert_eq!(kibibytes(status, "VmRSS:"), Some(100 << 10));
    }

    #[test]
    fn a_name_with_brackets_does_not_shift_the_numbers() {
        let ticks = sys::ticks_per_second().unwrap();
        let stat = format!("7 (a) b) S 1 2 3 4 5 6 7 8 9 10 {ticks} {ticks} 0 0");
        assert_eq!(processor_time(&stat), Some(Duration::from_secs(2)));
    }
}
