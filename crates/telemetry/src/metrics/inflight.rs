//! Requests that run.

use llamatelemetry_record::{LiveRequest, Operation, SpanId};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

/// Entries above which those whose request was dropped without a record are looked for.
const CROWD: usize = 1024;

/// Requests that were sent and have no record yet.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    requests: HashMap<SpanId, Weak<LiveRequest>>,
    /// So many were left when they were last looked through.
    left: usize,
}

/// How many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Crowd {
    pub(super) active: u64,
    /// Those of them that no slot works on yet.
    pub(super) waiting: u64,
}

impl InFlight {
    pub(super) fn started(&mut self, live: &Arc<LiveRequest>) {
        if self.requests.len() >= CROWD.max(2 * self.left) {
            self.requests.retain(|_, live| live.strong_count() > 0);
            self.left = self.requests.len();
        }
        self.requests.insert(live.span_id, Arc::downgrade(live));
    }

    /// A request has its record.
    pub(super) fn ended(&mut self, span: SpanId) {
        self.requests.remove(&span);
    }

    /// Counts those that run, by operation.
    pub(super) fn count(&mut self) -> BTreeMap<&'static str, Crowd> {
        let operations = [
            Operation::Chat,
            Operation::TextCompletion,
            Operation::Embeddings,
            Operation::Rerank,
        ];
        let mut crowds = BTreeMap::from(operations.map(|one| (one.as_str(), Crowd::default())));
        self.requests.retain(|_, live| {
            let Some(live) = live.upgrade() else {
                return false;
            };
            let crowd = crowds
                .entry(live.endpoint.operation().as_str())
                .or_default();
            crowd.active += 1;
            crowd.waiting += u64::from(live.progress().slot_started.is_none());
            true
        });
        crowds
    }
}
