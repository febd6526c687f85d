//! One bar a step.

use super::{beginning, ending, position};
use crate::printer::Style;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use llamatelemetry::progress::{Task, TaskHandle};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The bar of a running step.
pub(super) struct Bar {
    bars: MultiProgress,
    line: ProgressBar,
    task: Task,
    started: Instant,
    style: Style,
    detail: Mutex<String>,
}

impl Bar {
    pub(super) fn new(bars: &MultiProgress, task: Task, style: Style) -> Self {
        let bar = bars.add(ProgressBar::no_length());
        if let Some(total) = task.total {
            bar.set_length(total);
        }
        bar.set_style(look(task.total.is_some(), style));
        bar.set_prefix(beginning(&task));
        // A step that says nothing for long must still be seen to live.
        bar.enable_steady_tick(Duration::from_millis(120));
        Self {
            bars: bars.clone(),
            line: bar,
            task,
            started: Instant::now(),
            style,
            detail: Mutex::default(),
        }
    }

    fn refresh(&self) {
        let (done, total) = (self.line.position(), self.line.length());
        let mut message = if done > 0 || total.is_some() {
            position(self.task.unit, done, total, self.started.elapsed())
        } else {
            String::new()
        };
        let detail = self.detail.lock().unwrap_or_else(PoisonError::into_inner);
        if !detail.is_empty() {
            if !message.is_empty() {
                message.push_str(" · ");
            }
            message.push_str(&detail);
        }
        self.line.set_message(message);
    }
}

/// Two lines: what and why, then how far.
fn look(measured: bool, style: Style) -> ProgressStyle {
    let (bar, spinner) = if style.is_coloured() {
        ("{bar:24.cyan/blue} ", "{spinner:.cyan} ")
    } else {
        ("{bar:24} ", "{spinner} ")
    };
    let bar = if measured { bar } else { "" };
    let template = format!("{spinner}{{prefix}}\n  {bar}{{wide_msg}}");
    // The templates above are sound; a style without them is the spinner of the crate.
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .progress_chars("━╸─")
}

impl TaskHandle for Bar {
    fn at(&self, done: u64) {
        self.line.set_position(done);
        self.refresh();
    }

    fn total(&self, total: u64) {
        if self.line.length().is_none() {
            self.line.set_style(look(true, self.style));
        }
        self.line.set_length(total);
        self.refresh();
    }

    fn detail(&self, message: &str) {
        message.clone_into(&mut self.detail.lock().unwrap_or_else(PoisonError::into_inner));
        self.refresh();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        let (done, total) = (self.line.position(), self.line.length());
        self.line.finish_and_clear();
        self.bars.remove(&self.line);
        if let Some(line) = ending(&self.task, done, total, self.started.elapsed()) {
            // Only a terminal has bars, and one that is gone needs no line.
            self.bars.println(line).unwrap_or_default();
        }
    }
}
