//! A sink that keeps what it gets.

use llamatelemetry::{RequestRecord, Sink};
use llamatelemetry_record::LoggedLine;
use llamatelemetry_testbed::until;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A sink that keeps what it gets.
#[derive(Default)]
pub(crate) struct Kept {
    records: Mutex<Vec<Arc<RequestRecord>>>,
    lines: Mutex<Vec<LoggedLine>>,
}

impl Sink for Kept {
    fn record(&self, record: Arc<RequestRecord>) {
        self.records.lock().unwrap().push(record);
    }

    fn logged(&self, line: LoggedLine) {
        self.lines.lock().unwrap().push(line);
    }
}

impl Kept {
    pub(crate) fn records(&self) -> Vec<Arc<RequestRecord>> {
        self.records.lock().unwrap().clone()
    }

    /// The records, once there are so many.
    pub(crate) fn wait(&self, number: usize) -> Vec<Arc<RequestRecord>> {
        until("a record of each request", Duration::from_secs(10), || {
            let records = self.records();
            (records.len() >= number).then_some(records)
        })
    }

    /// The lines of the log that have this text, once there are so many.
    pub(crate) fn wait_lines(&self, text: &str, number: usize) -> Vec<LoggedLine> {
        until("a line of the log", Duration::from_secs(60), || {
            let lines = self.lines.lock().unwrap();
            let found = lines.iter().filter(|line| line.text.contains(text));
            let found: Vec<_> = found.cloned().collect();
            (found.len() >= number).then_some(found)
        })
    }
}
