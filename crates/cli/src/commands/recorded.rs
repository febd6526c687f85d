//! The store of this home, as the commands ask it.

use super::Session;
use crate::args::TraceQueryArgs;
use anyhow::Context as _;
use llamatelemetry_store::{Condition, Literal, Query, StoreError};
use llamatelemetry_telemetry::names::attribute;
use llamatelemetry_telemetry::recorded::Recorded;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the store of this home holds now.
pub(super) fn open(session: &Session) -> Result<Recorded, StoreError> {
    Recorded::open(&session.settings().home.store())
}

/// Names what could not be read.
pub(super) fn warn_of_damage(recorded: &Recorded, session: &Session) {
    for damage in recorded.damaged() {
        session.printer.warn(damage);
    }
}

/// Says why there is nothing to show.
pub(super) fn say_empty(what: &str, session: &Session) {
    let printer = &session.printer;
    if session.settings().telemetry.store {
        printer.say(format!(
            "no {what} are stored yet; `llt run` and `llt chat` store them"
        ));
    } else {
        printer.say(format!(
            "no {what} are stored: telemetry.store is off, `llt config show telemetry.store --origin`"
        ));
    }
}

/// From so long ago on, ns since 1970.
pub(super) fn since(time: Duration) -> Range<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let from = now.unwrap_or_default().saturating_sub(time);
    u64::try_from(from.as_nanos()).unwrap_or(u64::MAX)..u64::MAX
}

/// The query that was typed.
pub(super) fn query(args: &TraceQueryArgs, limit: Option<usize>) -> Query {
    let TraceQueryArgs {
        since: time,
        model,
        operation,
        failed,
        longer_than,
        attribute: attributes,
        text,
    } = args;
    let equal =
        |key: &str, value: &str| Condition::Attribute(key.to_owned(), Literal(value.to_owned()));
    let mut conditions = Vec::new();
    conditions.extend(attributes.iter().map(|(key, value)| equal(key, value)));
    conditions.extend(
        model
            .iter()
            .map(|name| equal(attribute::REQUEST_MODEL, name)),
    );
    conditions.extend(
        operation
            .iter()
            .map(|name| equal(attribute::OPERATION, name)),
    );
    if *failed {
        conditions.push(Condition::Failed(true));
    }
    conditions.extend(
        longer_than
            .map(|time| Condition::LongerThan(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))),
    );
    conditions.extend(text.iter().cloned().map(Condition::Holds));
    Query {
        time: time.map(since),
        conditions,
        limit,
    }
}

/// A file, or stdin for `-`.
pub(super) fn input(path: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path).with_context(|| path.display().to_string())?;
    Ok(Box::new(BufReader::new(file)))
}
