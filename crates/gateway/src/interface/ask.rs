//! Questions to the store, and what is common to their parameters.

use super::problem::Problem;
use crate::Shared;
use axum::extract::Query as Parameters;
use http::Uri;
use llamatelemetry_store::{Condition, Literal, Query};
use llamatelemetry_telemetry::names::attribute;
use llamatelemetry_telemetry::recorded::Recorded;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::ops::Range;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Questions to the store at once: each holds what it finds in memory.
const AT_ONCE: usize = 4;
/// Rows that one answer has, where nobody says how many, and at most.
const ROWS: usize = 100;
const MOST_ROWS: usize = 1_000;
const NANOS: u64 = 1_000_000;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Asks the store on a thread of its own.
pub(super) async fn store<T: Send + 'static>(
    shared: &Arc<Shared>,
    question: impl FnOnce(&mut Recorded) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let stored = shared.stored.clone();
    let stored = stored.ok_or_else(|| Problem::unavailable("telemetry.store is off"))?;
    let turn = TURNS.acquire().await;
    let asking = Handle::current().spawn_blocking(move || {
        let _turn = turn;
        question(&mut Recorded::new(stored.snapshot()?))
    });
    asking
        .await
        .unwrap_or_else(|_panicked| Err(Problem::unavailable("the store cannot be read now")))
}

/// The parameters of a question.
pub(super) fn parameters<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    let parsed = Parameters::try_from_uri(uri);
    parsed
        .map(|Parameters(parameters)| parameters)
        .map_err(|error| Problem::wrong(error.body_text()))
}

/// What may be asked of rows of the store.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    since_ms: Option<u64>,
    until_ms: Option<u64>,
    limit: Option<usize>,
    pub(super) model: Option<String>,
    pub(super) operation: Option<String>,
    pub(super) failed: Option<bool>,
    pub(super) longer_than_ms: Option<u64>,
    pub(super) text: Option<String>,
    pub(super) trace_id: Option<String>,
    pub(super) level: Option<Level>,
    pub(super) metric: Option<String>,
}

/// How grave a log record must be.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    /// OTLP's number of it.
    const fn severity(self) -> u64 {
        match self {
            Self::Trace => 1,
            Self::Debug => 5,
            Self::Info => 9,
            Self::Warn => 13,
            Self::Error => 17,
        }
    }
}

/// A range of time, ms since 1970; what is not said is not bounded.
pub(super) fn within(
    since: Option<u64>,
    until: Option<u64>,
) -> Result<Option<Range<u64>>, Problem> {
    if since.is_none() && until.is_none() {
        return Ok(None);
    }
    let (since, until) = (since.unwrap_or(0), until.unwrap_or(u64::MAX));
    if since > until {
        return Err(Problem::wrong("since_ms lies behind until_ms"));
    }
    Ok(Some(since..until))
}

impl Wanted {
    /// The query of these parameters, on top of what must hold anyway.
    pub(super) fn query(&self, mut conditions: Vec<Condition>) -> Result<Query, Problem> {
        let limit = self.limit.unwrap_or(ROWS);
        if !(1..=MOST_ROWS).contains(&limit) {
            return Err(Problem::wrong(format!("limit must be 1 to {MOST_ROWS}")));
        }
        let equal = |key: &str, value: &str| {
            Condition::Attribute(key.to_owned(), Literal(value.to_owned()))
        };
        let model = self.model.iter();
        conditions.extend(model.map(|name| equal(attribute::REQUEST_MODEL, name)));
        let operation = self.operation.iter();
        conditions.extend(operation.map(|name| equal(attribute::OPERATION, name)));
        conditions.extend(self.failed.map(Condition::Failed));
        let longer = self.longer_than_ms;
        conditions.extend(longer.map(|time| Condition::LongerThan(time.saturating_mul(NANOS))));
        conditions.extend(self.text.iter().cloned().map(Condition::Holds));
        let level = self.level.map(Level::severity);
        conditions.extend(level.map(Condition::Severity));
        if let Some(id) = &self.trace_id {
            conditions.push(Condition::Trace(trace_id(id)?));
        }
        let time = within(self.since_ms, self.until_ms)?;
        let nanos = |millis: u64| millis.saturating_mul(NANOS);
        Ok(Query {
            time: time.map(|time| nanos(time.start)..nanos(time.end)),
            conditions,
            limit: Some(limit),
        })
    }
}

/// A trace's id out of its 32 hexadecimal digits.
pub(super) fn trace_id(digits: &str) -> Result<[u8; 16], Problem> {
    let whole = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let id = whole
        .then(|| u128::from_str_radix(digits, 16).ok())
        .flatten();
    id.map(u128::to_be_bytes)
        .ok_or_else(|| Problem::wrong("a trace's id has 32 hexadecimal digits"))
}
