//! Long steps on the terminal: bars where there is one, plain lines where there is none.

mod bars;
mod lines;

use crate::printer::{Style, Talk};
use crate::quantity;
use indicatif::MultiProgress;
use llamatelemetry::progress::{Progress, Silent, Task, TaskHandle, Unit};
use std::fmt;
use std::io::{self, Write as _};
use std::time::Duration;

/// Steps shorter than this leave no line behind.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// What is seen of stderr: bars at the bottom, lines above them.
pub(crate) struct Screen {
    talk: Talk,
    bars: Option<MultiProgress>,
    style: Style,
}

impl Screen {
    /// `bars` where stderr is a terminal that can draw them.
    pub(crate) fn new(talk: Talk, bars: bool, style: Style) -> Self {
        Self {
            talk,
            bars: bars.then(MultiProgress::new),
            style,
        }
    }

    /// One line above the bars. Whether anybody still reads stderr must not matter to the work,
    /// so a failed write is let go.
    pub(crate) fn line(&self, text: &str) {
        self.raw(&format!("{text}\n"));
    }

    /// Text above the bars, as it is.
    pub(crate) fn raw(&self, text: &str) {
        let write = || {
            let mut err = io::stderr().lock();
            err.write_all(text.as_bytes())
                .and_then(|()| err.flush())
                .unwrap_or_default();
        };
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }
}

impl Progress for Screen {
    fn begin(&self, task: Task) -> Box<dyn TaskHandle> {
        match (self.talk, &self.bars) {
            (Talk::Quiet, _) => Box::new(Silent),
            (Talk::Normal, Some(bars)) => Box::new(bars::Bar::new(bars, task, self.style)),
            (Talk::Normal, None) => Box::new(lines::Lines::new(task)),
        }
    }

    fn note(&self, message: &str) {
        if self.talk == Talk::Normal {
            self.line(message);
        }
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen")
            .field("talk", &self.talk)
            .field("bars", &self.bars.is_some())
            .finish_non_exhaustive()
    }
}

/// How a step begins, in words.
fn beginning(task: &Task) -> String {
    let size = match (task.unit, task.total) {
        (Unit::Bytes, Some(total)) => format!(" ({})", quantity::bytes(total)),
        _ => String::new(),
    };
    let reason = task.reason.as_ref().map(|reason| format!(": {reason}"));
    format!("{}{size}{}", task.title, reason.unwrap_or_default())
}

/// How a step ended, in words; `None` if it is not worth a line.
fn ending(task: &Task, done: u64, total: Option<u64>, time: Duration) -> Option<String> {
    if time < WORTH_TELLING {
        return None;
    }
    let took = quantity::duration(time);
    let title = &task.title;
    // Whether it succeeded is not known here: whoever did it says so, or its error does.
    Some(match task.unit {
        Unit::Bytes if done > 0 => {
            let amount = quantity::bytes(done);
            let rate = quantity::rate(done, time);
            match total.map(quantity::bytes).filter(|total| *total != amount) {
                Some(total) => format!("{title}: {amount} of {total} in {took} ({rate})"),
                None => format!("{title}: {amount} in {took} ({rate})"),
            }
        }
        _ => format!("{title}: {took}"),
    })
}

/// Where a step is, in words: `45 %, 41.4 MB of 92.0 MB, 12.0 MB/s, 4.2 s left`.
fn position(unit: Unit, done: u64, total: Option<u64>, time: Duration) -> String {
    let mut parts = Vec::new();
    let amount = |count| match unit {
        Unit::Bytes => quantity::bytes(count),
        Unit::Steps => count.to_string(),
    };
    match total.filter(|total| *total > 0) {
        Some(total) => {
            parts.push(format!("{} %", done.min(total) * 100 / total));
            parts.push(format!("{} of {}", amount(done), amount(total)));
        }
        None => parts.push(amount(done)),
    }
    if unit == Unit::Bytes {
        parts.push(quantity::rate(done, time));
    }
    if let Some(total) = total.filter(|total| done > 0 && *total > done) {
        let left = time.mul_f64((total - done) as f64 / done as f64);
        parts.push(format!("{} left", quantity::duration(left)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_says_what_and_why_and_how_long() {
        let task = Task::bytes("fetching m.gguf", Some(92_000_000)).because("it is not here");
        assert_eq!(
            beginning(&task),
            "fetching m.gguf (92.0 MB): it is not here"
        );
        let time = Duration::from_secs(4);
        assert_eq!(
            ending(&task, 92_000_000, Some(92_000_000), time).as_deref(),
            Some("fetching m.gguf: 92.0 MB in 4.0 s (23.0 MB/s)")
        );
        assert_eq!(
            ending(&task, 46_000_000, Some(92_000_000), time).as_deref(),
            Some("fetching m.gguf: 46.0 MB of 92.0 MB in 4.0 s (11.5 MB/s)")
        );
        let short = Task::steps("proving", None);
        assert_eq!(ending(&short, 0, None, Duration::from_millis(20)), None);
    }

    #[test]
    fn a_position_has_rate_and_time_left() {
        let time = Duration::from_secs(2);
        assert_eq!(
            position(Unit::Bytes, 20_000_000, Some(80_000_000), time),
            "25 %, 20.0 MB of 80.0 MB, 10.0 MB/s, 6.0 s left"
        );
        assert_eq!(
            position(Unit::Steps, 3, Some(4), time),
            "75 %, 3 of 4, 666 ms left"
        );
        assert_eq!(position(Unit::Steps, 3, None, time), "3");
    }
}
