//! What a row of each signal has.

/// One of OpenTelemetry's three signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// A row is a span.
    Traces,
    /// A row is a data point.
    Metrics,
    /// A row is a log record.
    Logs,
}

impl Signal {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// `traces`, `metrics`, `logs`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_code(code: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|signal| u64::from(signal.code()) == code)
    }

    pub(crate) const fn schema(self) -> &'static Schema {
        match self {
            Self::Traces => &TRACES,
            Self::Metrics => &METRICS,
            Self::Logs => &LOGS,
        }
    }
}

/// The columns that every row of a signal has, besides its attributes. The first number is the
/// row's time, nanoseconds since 1970.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(crate) numbers: &'static [&'static str],
    pub(crate) texts: &'static [&'static str],
    /// Which of the texts can be looked for through the block's filter.
    pub(crate) looked_for: &'static [usize],
}

/// Places of a span's columns.
pub(crate) mod span {
    pub(crate) const DURATION: usize = 1;
    pub(crate) const FLAGS: usize = 2;
    pub(crate) const KIND: usize = 3;
    pub(crate) const STATUS: usize = 4;
    pub(crate) const DROPPED_ATTRIBUTES: usize = 5;
    pub(crate) const DROPPED_EVENTS: usize = 6;
    pub(crate) const DROPPED_LINKS: usize = 7;
    pub(crate) const PARENT: usize = 5;
    pub(crate) const STATE: usize = 6;
    pub(crate) const MESSAGE: usize = 7;
    pub(crate) const REST: usize = 8;
}

/// Places of a log record's columns.
pub(crate) mod log {
    pub(crate) const OBSERVED: usize = 1;
    pub(crate) const FLAGS: usize = 2;
    pub(crate) const SEVERITY: usize = 3;
    pub(crate) const DROPPED_ATTRIBUTES: usize = 4;
    pub(crate) const SEVERITY_TEXT: usize = 5;
    pub(crate) const BODY: usize = 6;
}

/// Places of a data point's columns.
pub(crate) mod point {
    pub(crate) const STARTED: usize = 1;
    pub(crate) const DESCRIPTOR: usize = 5;
    pub(crate) const POINT: usize = 6;
}

/// Places of the columns that all signals share.
pub(crate) const TIME: usize = 0;
pub(crate) const RESOURCE: usize = 0;
pub(crate) const SCOPE: usize = 1;
pub(crate) const NAME: usize = 2;
pub(crate) const TRACE: usize = 3;
pub(crate) const SPAN: usize = 4;

static TRACES: Schema = Schema {
    numbers: &[
        "start",
        "duration",
        "flags",
        "kind",
        "status",
        "dropped_attributes",
        "dropped_events",
        "dropped_links",
    ],
    texts: &[
        "resource",
        "scope",
        "name",
        "trace_id",
        "span_id",
        "parent_span_id",
        "trace_state",
        "status_message",
        "events_and_links",
    ],
    looked_for: &[NAME, TRACE, SPAN],
};

static LOGS: Schema = Schema {
    numbers: &[
        "time",
        "observed",
        "flags",
        "severity",
        "dropped_attributes",
    ],
    texts: &[
        "resource",
        "scope",
        "event_name",
        "trace_id",
        "span_id",
        "severity_text",
        "body",
    ],
    looked_for: &[NAME, TRACE, SPAN],
};

static METRICS: Schema = Schema {
    numbers: &["time", "started", "kind"],
    // A data point has no trace of its own; its exemplars lie in the point.
    texts: &[
        "resource",
        "scope",
        "name",
        "trace_id",
        "span_id",
        "descriptor",
        "point",
    ],
    looked_for: &[NAME],
};
