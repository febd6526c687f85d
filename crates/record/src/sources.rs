//! The table endpoint × delivery → where each phase comes from.
//!
//! Measured on llama.cpp b11434; the tests check every row against a running server, and
//! `docs/figures.md` prints the table from here.

use crate::Endpoint;
use Shown::{CachedTokens, FinishReason, Slot, Timings};

/// How an answer is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// Event by event, as Server-Sent Events.
    Streamed,
    /// In one piece.
    Whole,
}

impl Delivery {
    /// Tells by the answer's `content-type`. An error answers a streamed request in one piece.
    pub fn of_content_type(content_type: Option<&str>) -> Self {
        let essence = content_type
            .and_then(|value| value.split(';').next())
            .map(str::trim);
        match essence {
            Some(essence) if essence.eq_ignore_ascii_case("text/event-stream") => Self::Streamed,
            _ => Self::Whole,
        }
    }

    /// The word used in the docs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Streamed => "streamed",
            Self::Whole => "whole",
        }
    }
}

/// Where one phase of a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhaseSource {
    /// The time between two things seen on the stream.
    Stream,
    /// The server's own `timings`, in the body.
    ServerTimings,
    /// What `timings` leaves of the wall time.
    Remainder,
    /// Not shown: the phase is unknown.
    NotShown,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseRow {
    /// The endpoint asked.
    pub endpoint: Endpoint,
    /// How it answered.
    pub delivery: Delivery,
    /// Where the queue phase comes from.
    pub queue: PhaseSource,
    /// Where the prefill phase comes from.
    pub prefill: PhaseSource,
    /// Where the decode phase comes from.
    pub decode: PhaseSource,
    /// What else the answer shows.
    pub shown: &'static [Shown],
}

/// Something that an answer may show beside its phases and its token counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The server's own times, `timings`.
    Timings,
    /// Why it ended.
    FinishReason,
    /// How many prompt tokens were taken from the cache.
    CachedTokens,
    /// The slot that worked on it.
    Slot,
}

impl Shown {
    /// The word used in the docs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timings => "`timings`",
            Self::FinishReason => "finish reason",
            Self::CachedTokens => "cached tokens",
            Self::Slot => "slot",
        }
    }
}

impl PhaseRow {
    /// Whether the answer shows this.
    pub fn shows(&self, what: Shown) -> bool {
        self.shown.contains(&what)
    }
}

const STREAMED: PhaseRow = PhaseRow {
    endpoint: Endpoint::ChatCompletions,
    delivery: Delivery::Streamed,
    queue: PhaseSource::Stream,
    prefill: PhaseSource::Stream,
    decode: PhaseSource::Stream,
    shown: &[Timings, FinishReason, CachedTokens],
};

const WHOLE: PhaseRow = PhaseRow {
    delivery: Delivery::Whole,
    queue: PhaseSource::Remainder,
    prefill: PhaseSource::ServerTimings,
    decode: PhaseSource::ServerTimings,
    ..STREAMED
};

const WALL_ONLY: PhaseRow = PhaseRow {
    delivery: Delivery::Whole,
    queue: PhaseSource::NotShown,
    prefill: PhaseSource::NotShown,
    decode: PhaseSource::NotShown,
    shown: &[],
    ..STREAMED
};

/// Where each phase comes from, for every endpoint and delivery that llama-server offers.
pub const PHASE_SOURCES: &[PhaseRow] = &[
    STREAMED,
    WHOLE,
    PhaseRow {
        endpoint: Endpoint::Completions,
        ..STREAMED
    },
    PhaseRow {
        endpoint: Endpoint::Completions,
        ..WHOLE
    },
    PhaseRow {
        endpoint: Endpoint::NativeCompletion,
        shown: &[Timings, FinishReason, CachedTokens, Slot],
        ..STREAMED
    },
    PhaseRow {
        endpoint: Endpoint::NativeCompletion,
        shown: &[Timings, FinishReason, CachedTokens, Slot],
        ..WHOLE
    },
    PhaseRow {
        endpoint: Endpoint::Responses,
        shown: &[Timings, CachedTokens],
        ..STREAMED
    },
    PhaseRow {
        endpoint: Endpoint::Responses,
        shown: &[CachedTokens],
        ..WALL_ONLY
    },
    PhaseRow {
        endpoint: Endpoint::Messages,
        shown: &[FinishReason, CachedTokens],
        ..STREAMED
    },
    PhaseRow {
        endpoint: Endpoint::Messages,
        shown: &[FinishReason, CachedTokens],
        ..WALL_ONLY
    },
    PhaseRow {
        endpoint: Endpoint::Embeddings,
        ..WALL_ONLY
    },
    PhaseRow {
        endpoint: Endpoint::Rerank,
        ..WALL_ONLY
    },
];

/// The row of an endpoint and delivery, if llama-server offers that pair.
pub fn phase_sources(endpoint: Endpoint, delivery: Delivery) -> Option<&'static PhaseRow> {
    PHASE_SOURCES
        .iter()
        .find(|row| row.endpoint == endpoint && row.delivery == delivery)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_content_type_tells_the_delivery() {
        let streamed = [
            "text/event-stream",
            "Text/Event-Stream; charset=utf-8",
            " text/event-stream ",
        ];
        for value in streamed {
            assert_eq!(
                Delivery::of_content_type(Some(value)),
                Delivery::Streamed,
                "{value}"
            );
        }
        let whole = [None, Some("application/json; charset=utf-8"), Some("")];
        for value in whole {
            assert_eq!(Delivery::of_content_type(value), Delivery::Whole);
        }
    }

    #[test]
    fn every_pair_stands_once() {
        let pairs: HashSet<_> = PHASE_SOURCES
            .iter()
            .map(|row| (row.endpoint, row.delivery))
            .collect();
        assert_eq!(pairs.len(), PHASE_SOURCES.len());
        assert!(phase_sources(Endpoint::Embeddings, Delivery::Streamed).is_none());
    }
}
