//! The requests that the meter follows.

use super::work::{Guess, Timeline};
use llamatelemetry_record::{ContextPool, Endpoint, LiveRequest, RequestRecord, SpanId};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How long after a request was dropped its record may come.
const GRACE: Duration = Duration::from_secs(2);

/// A request, numbered in the order of announcement.
pub(super) type TrackId = u64;

/// What weights belong to: a model's file and the build that computes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    model: String,
    build: Option<String>,
}

impl Key {
    #[cfg(test)]
    pub(super) fn named(model: &str) -> Self {
        Self {
            model: model.to_owned(),
            build: None,
        }
    }

    fn of(record: &RequestRecord) -> Self {
        Self {
            model: record
                .model_sha256
                .clone()
                .unwrap_or_else(|| record.model.clone()),
            build: record.llama_build.clone(),
        }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Track {
    live: Weak<LiveRequest>,
    endpoint: Endpoint,
    sent: Instant,
    /// Whether only neighbouring slots work at one go.
    by_neighbours: bool,
    pub(super) line: Timeline,
    pub(super) key: Option<Key>,
    record: Option<Arc<RequestRecord>>,
    /// When it was first seen dropped without a record.
    dropped: Option<Instant>,
    settled: bool,
}

impl Track {
    fn of(live: &Arc<LiveRequest>) -> Self {
        Self {
            live: Arc::downgrade(live),
            endpoint: live.endpoint,
            sent: live.sent,
            by_neighbours: matches!(live.context, ContextPool::PerSlot),
            line: Timeline {
                prompt_bytes: live.prompt_bytes.map(|bytes| bytes as f64),
                ..Timeline::default()
            },
            key: None,
            record: None,
            dropped: None,
            settled: false,
        }
    }

    /// Whether it ended without a record: nobody can be told its energy.
    pub(super) fn is_abandoned(&self) -> bool {
        self.record.is_none() && self.line.end.is_some()
    }

    /// Looks at how far it has come.
    fn look(&mut self, now: Instant) {
        if self.line.end.is_some() {
            return;
        }
        let Some(live) = self.live.upgrade() else {
            let dropped = *self.dropped.get_or_insert(now);
            if now >= dropped + GRACE {
                self.line.end = Some(dropped);
            }
            return;
        };
        let seen = live.progress();
        let sent = self.sent;
        self.line.slot = seen.slot.filter(|_| self.by_neighbours);
        self.line.first = seen.first_delta;
        self.line.start = seen.slot_started.or(seen.first_delta.map(|_| sent));
        if let Some(at) = seen.last_delta {
            let tokens = seen.deltas.saturating_sub(1) as f64;
            match self.line.generated.last() {
                Some((before, _)) if *before >= at => {}
                _ => self.line.generated.push((at, tokens)),
            }
        }
    }

    /// What the record says of the time and the work replaces what was seen.
    pub(super) fn end(&mut self, record: &RequestRecord) {
        let phases = &record.phases;
        let end = self.sent + phases.total;
        let timings = record.server_timings;
        let usage = &record.usage;
        self.key = Some(Key::of(record));
        self.line.slot = record.slot.filter(|_| self.by_neighbours);
        self.line.prompt_tokens = timings
            .map(|timings| timings.prompt_n)
            .or_else(|| {
                usage
                    .prompt_tokens?
                    .checked_sub(usage.cached_tokens.unwrap_or(0))
            })
            .map(|tokens| tokens as f64);
        match (phases.queue, phases.prefill) {
            (Some(queue), Some(prefill)) => {
                self.line.start = Some(self.sent + queue);
                self.line.first = Some(self.sent + queue + prefill);
            }
            // A slot had begun on it, and it ended before its first token.
            (Some(queue), None) => self.line.start = Some(self.sent + queue),
            // Answered in one piece: nothing tells when a slot began.
            _ if record.failure.is_none() && self.line.start.is_none() => {
                self.line.start = Some(self.sent);
                let generates = !matches!(self.endpoint, Endpoint::Embeddings | Endpoint::Rerank);
                self.line.first = generates.then_some(self.sent);
            }
            _ => {}
        }
        self.line.end = Some(end);
        let seen = self
            .line
            .generated
            .last()
            .map_or(0.0, |(_, tokens)| *tokens);
        let told = timings
            .map(|timings| timings.predicted_n)
            .or(usage.completion_tokens);
        // The first token is the prompt's product.
        let all = told.map_or(seen, |tokens| tokens.saturating_sub(1) as f64);
        self.line.generated.retain(|(at, _)| *at < end);
        for (_, tokens) in &mut self.line.generated {
            *tokens *= if seen > 0.0 { all / seen } else { 0.0 };
        }
        self.line.generated.push((end, all));
    }
}

/// All requests that are in flight or not settled, and those that shared a window with them.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    by_id: BTreeMap<TrackId, Track>,
    by_span: HashMap<SpanId, TrackId>,
    next: TrackId,
    guess: Guess,
    latest: Option<Key>,
}

impl Tracks {
    pub(super) fn started(&mut self, live: &Arc<LiveRequest>) {
        let id = self.next;
        self.next += 1;
        self.by_span.insert(live.span_id, id);
        self.by_id.insert(id, Track::of(live));
    }

    /// A request has its record, which came at `now`; gives back that of one never announced.
    pub(super) fn ended(
        &mut self,
        record: Arc<RequestRecord>,
        now: Instant,
    ) -> Result<(), Arc<RequestRecord>> {
        let id = self.by_span.get(&record.span_id);
        let Some(track) = id.and_then(|id| self.by_id.get_mut(id)) else {
            return Err(record);
        };
        track.look(now);
        track.end(&record);
        if let Some(pace) = track.line.prompt_pace() {
            self.guess.pace.see(pace);
        }
        if let Some(tokens) = track.line.prompt_tokens {
            self.guess.tokens.see(tokens);
            if let Some(bytes) = track.line.prompt_bytes.filter(|bytes| *bytes > 0.0) {
                self.guess.tokens_per_byte.see(tokens / bytes);
            }
        }
        self.latest.clone_from(&track.key);
        track.record = Some(record);
        Ok(())
    }

    /// Looks at all that run.
    pub(super) fn look(&mut self, now: Instant) {
        for track in self.by_id.values_mut() {
            track.look(now);
        }
    }

    pub(super) fn get(&self, id: TrackId) -> Option<&Track> {
        self.by_id.get(&id)
    }

    pub(super) fn by_span(&self, span: SpanId) -> Option<(TrackId, &Track)> {
        let id = *self.by_span.get(&span)?;
        Some((id, self.by_id.get(&id)?))
    }

    /// Those that were in flight at some time between the two moments.
    pub(super) fn within(&self, from: Instant, to: Instant) -> Vec<(TrackId, &Track)> {
        self.by_id
            .iter()
            .filter(|(_, track)| track.sent < to && track.line.end.is_none_or(|end| end > from))
            .map(|(id, track)| (*id, track))
            .collect()
    }

    /// Those that have ended and are not settled, with their ends.
    pub(super) fn unsettled(&self) -> Vec<(TrackId, Instant)> {
        let ended = |track: &Track| track.line.end.filter(|_| !track.settled);
        self.by_id
            .iter()
            .filter_map(|(id, track)| Some((*id, ended(track)?)))
            .collect()
    }

    pub(super) fn any_unsettled(&self) -> bool {
        self.by_id.values().any(|track| !track.settled)
    }

    /// A request is settled: its record, if it has one.
    pub(super) fn settle(&mut self, id: TrackId) -> Option<Arc<RequestRecord>> {
        let track = self.by_id.get_mut(&id)?;
        track.settled = true;
        track.record.clone()
    }

    pub(super) fn is_settled(&self, id: TrackId) -> bool {
        self.by_id.get(&id).is_none_or(|track| track.settled)
    }

    /// Forgets what is settled and not needed any more.
    pub(super) fn forget(&mut self, needed: impl Fn(TrackId) -> bool) {
        self.by_id.retain(|id, track| !track.settled || needed(*id));
        self.by_span.retain(|_, id| self.by_id.contains_key(id));
    }

    /// What stands in for prompts whose length is not known.
    pub(super) fn guess(&self) -> &Guess {
        &self.guess
    }

    /// The model of the latest record.
    pub(super) fn latest(&self) -> Option<&Key> {
        self.latest.as_ref()
    }
}
