//! The phases of a request and the clock that measures them from outside.
//!
//! ```text
//! request sent ── queue ──▶ response headers ── prefill ──▶ first delta ── decode ──▶ last delta
//! ```
//!
//! llama-server flushes its `200` header when a slot starts the request, so the time until the
//! headers is the time spent waiting for a slot. A *delta* is an event with non-empty text,
//! reasoning or tool-call content, or the event that carries the finish reason: the first event
//! of a chat stream has only a role and comes before any token.
//!
//! The finish event belongs to decode because the server's own clock stops at the last token, and
//! a token that ends the text has none itself: the last text comes one token early. Where a limit
//! ends the answer, the last text and the finish event leave together, and both definitions agree.
//! So defined, each phase is within 1 % or 1 ms of the server's `timings` (tested for every
//! endpoint, with both endings).

use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant, SystemTime};

/// Where a request's phase times come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimingSource {
    /// All phases seen from outside, on the stream.
    Stream,
    /// Prefill and decode as the server states them; queue is the rest of the wall time.
    ServerTimings,
    /// Only the wall time is known.
    Wall,
}

impl TimingSource {
    /// The name used in results and on spans.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::ServerTimings => "server_timings",
            Self::Wall => "wall",
        }
    }
}

/// Durations of a request's phases. A phase that could not be seen is `None`, never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phases {
    /// Request sent → slot started.
    pub queue: Option<Duration>,
    /// Slot started → first delta.
    pub prefill: Option<Duration>,
    /// First delta → last delta.
    pub decode: Option<Duration>,
    /// Request sent → last delta; for a request that failed, → the failure.
    pub total: Duration,
    /// How the phases were learned.
    pub source: TimingSource,
}

impl Phases {
    /// Time to first token: queue and prefill together.
    pub fn ttft(&self) -> Option<Duration> {
        Some(self.queue? + self.prefill?)
    }
}

/// Measures one request. Instants are passed in by whoever saw the bytes arrive.
#[derive(Debug, Clone)]
pub struct PhaseClock {
    sent: Instant,
    sent_at: SystemTime,
    headers: Option<Instant>,
    first_delta: Option<Instant>,
    last_delta: Option<Instant>,
    gaps: Vec<Duration>,
}

impl PhaseClock {
    /// The request is being sent now.
    pub fn start() -> Self {
        Self {
            sent: Instant::now(),
            sent_at: SystemTime::now(),
            headers: None,
            first_delta: None,
            last_delta: None,
            gaps: Vec::new(),
        }
    }

    /// A clock that started at the same moment and has seen nothing yet.
    #[must_use]
    pub fn started_like(&self) -> Self {
        Self {
            headers: None,
            first_delta: None,
            last_delta: None,
            gaps: Vec::new(),
            ..*self
        }
    }

    /// When the request was sent, by the wall clock.
    pub fn sent_at(&self) -> SystemTime {
        self.sent_at
    }

    /// When the request was sent, by the monotonic clock.
    pub fn sent(&self) -> Instant {
        self.sent
    }

    /// When the response headers arrived, if they did.
    pub fn headers_at(&self) -> Option<Instant> {
        self.headers
    }

    /// When the first delta arrived, if one did.
    pub fn first_delta(&self) -> Option<Instant> {
        self.first_delta
    }

    /// When the latest delta arrived, if one did.
    pub fn last_delta(&self) -> Option<Instant> {
        self.last_delta
    }

    /// The response headers arrived. Only the first call counts.
    pub fn headers(&mut self, at: Instant) {
        self.headers.get_or_insert(at);
    }

    /// A delta arrived.
    pub fn delta(&mut self, at: Instant) {
        self.first_delta.get_or_insert(at);
        if let Some(before) = self.last_delta.replace(at) {
            self.gaps.push(at.saturating_duration_since(before));
        }
    }

    /// From each delta to the next, in order.
    pub fn gaps(&self) -> &[Duration] {
        &self.gaps
    }

    /// Whether any delta was seen.
    pub fn has_delta(&self) -> bool {
        self.first_delta.is_some()
    }

    /// The phases as the stream showed them. `ended` closes a request that saw no delta.
    pub fn phases(&self, ended: Instant) -> Phases {
        let end = self.last_delta.unwrap_or(ended);
        Phases {
            queue: self.headers.map(|at| at - self.sent),
            prefill: self
                .headers
                .zip(self.first_delta)
                .map(|(from, to)| to - from),
            decode: self
                .first_delta
                .zip(self.last_delta)
                .map(|(from, to)| to - from),
            total: end - self.sent,
            source: if self.first_delta.is_some() {
                TimingSource::Stream
            } else {
                TimingSource::Wall
            },
        }
    }

    /// The phases of a stream that was cut off before its end: as far as they were seen, with the
    /// total up to the cut.
    pub fn phases_cut(&self, ended: Instant) -> Phases {
        Phases {
            total: ended - self.sent,
            ..self.phases(ended)
        }
    }

    /// Only the wall time: the answer showed nothing of its phases.
    pub fn wall(&self, ended: Instant) -> Phases {
        Phases {
            queue: None,
            prefill: None,
            decode: None,
            total: ended - self.sent,
            source: TimingSource::Wall,
        }
    }

    /// The phases of an answer that came in one piece and carries the server's own times:
    /// queue is what they leave of the wall time.
    pub fn phases_from_server(
        &self,
        ended: Instant,
        prefill: Duration,
        decode: Duration,
    ) -> Phases {
        let total = ended - self.sent;
        Phases {
            queue: Some(total.saturating_sub(prefill + decode)),
            prefill: Some(prefill),
            decode: Some(decode),
            total,
            source: TimingSource::ServerTimings,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_sum_to_the_total() {
        let mut clock = PhaseClock::start();
        let at = |ms| clock.sent + Duration::from_millis(ms);
        let (headers, first, last, end) = (at(5), at(25), at(100), at(130));
        clock.headers(headers);
        clock.delta(first);
        clock.delta(last);
        let phases = clock.phases(end);
        assert_eq!(phases.total, Duration::from_millis(100));
        assert_eq!(
            phases.queue.unwrap() + phases.prefill.unwrap() + phases.decode.unwrap(),
            phases.total
        );
        assert_eq!(phases.ttft(), Some(Duration::from_millis(25)));
        assert_eq!(phases.source, TimingSource::Stream);
    }

    #[test]
    fn what_was_not_seen_is_none() {
        let clock = PhaseClock::start();
        let phases = clock.phases(clock.sent + Duration::from_millis(3));
        assert_eq!(
            (phases.queue, phases.prefill, phases.decode),
            (None, None, None)
        );
        assert_eq!(phases.total, Duration::from_millis(3));
        assert_eq!(phases.source, TimingSource::Wall);
    }
}
