//! Somebody who watches and remembers.

use llamatelemetry_progress::{Progress, Task, TaskHandle};
use std::sync::{Arc, Mutex};

#[derive(Default, Clone)]
pub(crate) struct Watch(Arc<Mutex<Told>>);

#[derive(Default, Clone)]
pub(crate) struct Told {
    pub(crate) tasks: Vec<Task>,
    pub(crate) notes: Vec<String>,
    pub(crate) at: Vec<u64>,
    pub(crate) details: Vec<String>,
}

impl Watch {
    pub(crate) fn told(&self) -> Told {
        self.0.lock().expect("no panic while held").clone()
    }
}

impl Progress for Watch {
    fn begin(&self, task: Task) -> Box<dyn TaskHandle> {
        self.0.lock().expect("no panic while held").tasks.push(task);
        Box::new(self.clone())
    }

    fn note(&self, message: &str) {
        let mut told = self.0.lock().expect("no panic while held");
        told.notes.push(message.to_owned());
    }
}

impl TaskHandle for Watch {
    fn at(&self, done: u64) {
        self.0.lock().expect("no panic while held").at.push(done);
    }

    fn total(&self, _total: u64) {}

    fn detail(&self, message: &str) {
        let mut told = self.0.lock().expect("no panic while held");
        told.details.push(message.to_owned());
    }
}
