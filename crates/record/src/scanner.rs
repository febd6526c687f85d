//! The scanner: reads an answer as its bytes arrive and says what the record needs.

use crate::dialect::{self, Gathered, Sign};
use crate::{
    Delivery, Endpoint, Failure, FinishReason, PhaseClock, PhaseSource, Phases, ServerTimings,
    SseDecoder, TimingSource, Usage, phase_sources,
};
use std::time::{Duration, Instant};

/// Reads one answer as it passes by: drives a [`PhaseClock`] and gathers tokens, times and names.
///
/// It never fails and never alters what passes: an answer that it cannot read leaves fields
/// `None`. Hand it the raw body bytes with [`push`](Self::push), or whole events with
/// [`event`](Self::event) where the caller decodes the stream itself.
#[derive(Debug, Clone)]
pub struct StreamScanner {
    endpoint: Endpoint,
    clock: PhaseClock,
    status: u16,
    delivery: Delivery,
    decoder: SseDecoder,
    body: Vec<u8>,
    /// The answer is larger than what is kept; the rest is not looked at.
    overflown: bool,
    deltas: u64,
    finished: bool,
    failed_at: Option<Instant>,
    gathered: Gathered,
}

/// What an answer said and how long its phases took.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// Where the time went.
    pub phases: Phases,
    /// From each delta of a streamed answer to the next, in order.
    pub gaps: Vec<Duration>,
    /// Tokens, as the server counted them.
    pub usage: Usage,
    /// The server's own account, if the answer has one.
    pub timings: Option<ServerTimings>,
    /// Why it ended, if the answer says so.
    pub finish_reason: Option<FinishReason>,
    /// The server's id for the answer.
    pub response_id: Option<String>,
    /// The model as the server names it.
    pub model: Option<String>,
    /// The slot that worked on it, if the answer says so.
    pub slot: Option<u32>,
    /// The error that the server answered with, at once or in the middle of the stream.
    pub error: Option<Failure>,
    /// Whether the answer was seen to its end: a stream's closing event, a whole body. `false`
    /// means that it was cut off or cancelled.
    pub complete: bool,
}

impl StreamScanner {
    /// The largest whole body kept for reading, in bytes.
    pub const BODY_LIMIT: usize = 64 << 20;

    /// A scanner for the answer to a request that was sent when `clock` started.
    pub fn new(endpoint: Endpoint, clock: PhaseClock) -> Self {
        Self {
            endpoint,
            clock,
            status: 200,
            delivery: Delivery::Whole,
            decoder: SseDecoder::default(),
            body: Vec::new(),
            overflown: false,
            deltas: 0,
            finished: false,
            failed_at: None,
            gathered: Gathered::default(),
        }
    }

    /// The response headers arrived.
    pub fn headers(&mut self, status: u16, delivery: Delivery, at: Instant) {
        self.status = status;
        self.delivery = delivery;
        self.clock.headers(at);
    }

    /// Bytes of the body arrived, without any transfer coding.
    pub fn push(&mut self, bytes: &[u8], at: Instant) {
        if self.overflown {
            return;
        }
        match self.delivery {
            Delivery::Whole => {
                if self.body.len() + bytes.len() > Self::BODY_LIMIT {
                    self.overflown = true;
                    self.body = Vec::new();
                } else {
                    self.body.extend_from_slice(bytes);
                }
            }
            Delivery::Streamed => {
                let mut decoder = std::mem::take(&mut self.decoder);
                self.overflown = decoder.push(bytes, |data| self.event(data, at)).is_err();
                self.decoder = decoder;
            }
        }
    }

    /// One event of the stream arrived; `data` is its data field.
    pub fn event(&mut self, data: &[u8], at: Instant) {
        match dialect::event(self.endpoint, data, &mut self.gathered) {
            Sign::Nothing => {}
            Sign::Delta => {
                self.clock.delta(at);
                self.deltas += 1;
            }
            Sign::Finish => {
                self.clock.delta(at);
                self.finished = true;
            }
            Sign::Error => {
                self.failed_at.get_or_insert(at);
            }
        }
    }

    /// The clock so far.
    pub fn clock(&self) -> &PhaseClock {
        &self.clock
    }

    /// Events so far that carried text, reasoning or part of a tool call: about as many as tokens.
    pub fn deltas(&self) -> u64 {
        self.deltas
    }

    /// Whether the stream's closing event was seen.
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// The answer ended, by itself or by being cut off.
    pub fn finish(mut self, ended: Instant) -> Observed {
        let phases = match self.delivery {
            _ if !(200..300).contains(&self.status) => {
                self.gathered.error = Some(dialect::failure(self.status, &self.body));
                self.clock.wall(ended)
            }
            Delivery::Streamed => self.stream_phases(ended),
            Delivery::Whole => {
                self.finished =
                    !self.overflown && dialect::body(self.endpoint, &self.body, &mut self.gathered);
                self.whole_phases(ended)
            }
        };
        let Gathered {
            usage,
            timings,
            finish_reason,
            response_id,
            model,
            slot,
            error,
            several: _,
        } = self.gathered;
        let gaps = match self.delivery {
            Delivery::Streamed => self.clock.gaps().to_vec(),
            Delivery::Whole => Vec::new(),
        };
        let counted = timings.map(|timings| timings.usage()).unwrap_or_default();
        Observed {
            phases,
            gaps,
            usage: Usage {
                prompt_tokens: usage.prompt_tokens.or(counted.prompt_tokens),
                cached_tokens: usage.cached_tokens.or(counted.cached_tokens),
                completion_tokens: usage.completion_tokens.or(counted.completion_tokens),
                reasoning_tokens: usage.reasoning_tokens,
            },
            timings,
            finish_reason,
            response_id,
            model,
            slot,
            complete: self.finished && error.is_none(),
            error,
        }
    }

    fn stream_phases(&self, ended: Instant) -> Phases {
        if self.finished {
            self.clock.phases(ended)
        } else {
            self.clock.phases_cut(self.failed_at.unwrap_or(ended))
        }
    }

    fn whole_phases(&self, ended: Instant) -> Phases {
        let stated = phase_sources(self.endpoint, self.delivery)
            .is_some_and(|row| row.prefill == PhaseSource::ServerTimings);
        let times = self
            .gathered
            .timings
            .filter(|_| stated && !self.gathered.several)
            .and_then(|timings| timings.prefill().zip(timings.decode()));
        match times {
            Some((prefill, decode)) => self.clock.phases_from_server(ended, prefill, decode),
            None => self.clock.wall(ended),
        }
    }
}

impl Observed {
    /// Whether the phases were seen on the stream.
    pub fn streamed(&self) -> bool {
        self.phases.source == TimingSource::Stream
    }
}
