//! `model_requests`

use super::{Column, From, Kind, Narrows, Source, View, Whole};
use crate::TablesError;
use crate::value::Value;
use llamatelemetry_store::{Histogram, Rollup, RollupKey, Snapshot};
use std::ops::Range;

const MINUTE: u64 = 60_000_000_000;

/// Sums over requests of one minute a row.
pub(super) static MODEL_REQUESTS: View = View {
    name: "model_requests",
    about: "Sums over the requests to models that began in one minute, a row for each service, \
            model, operation and outcome. Kept beside the spans, so that a sum over all time \
            reads no span. A sum that no request states is `NULL`.",
    source: Source::Whole(rows),
    columns: &[
        Column::new(
            "minute_unix_nano",
            Kind::Integer,
            From::View,
            "The beginning of the minute, nanoseconds since 1970.",
        )
        .narrows(Narrows::Time),
        Column::new(
            "service_name",
            Kind::Text,
            From::View,
            "`service.name` of the resource.",
        ),
        Column::new(
            "model",
            Kind::Text,
            From::View,
            "The model as the caller named it.",
        ),
        Column::new(
            "operation",
            Kind::Text,
            From::View,
            "`chat`, `text_completion`, `embeddings`.",
        ),
        Column::new(
            "failed",
            Kind::Integer,
            From::View,
            "1 for those with error status, else 0.",
        ),
        Column::new(
            "requests",
            Kind::Integer,
            From::View,
            "How many there were.",
        ),
        Column::new(
            "input_tokens",
            Kind::Integer,
            From::View,
            "Prompt tokens, cached ones included.",
        ),
        Column::new(
            "cached_tokens",
            Kind::Integer,
            From::View,
            "Prompt tokens taken from the cache.",
        ),
        Column::new(
            "output_tokens",
            Kind::Integer,
            From::View,
            "Tokens generated.",
        ),
        Column::new(
            "duration_sum_ns",
            Kind::Integer,
            From::View,
            "Their times together, nanoseconds.",
        ),
        Column::new(
            "duration_p50_ns",
            Kind::Real,
            From::View,
            "Median time, nanoseconds, to 5 %.",
        ),
        Column::new(
            "duration_p99_ns",
            Kind::Real,
            From::View,
            "99th percentile, to 5 %.",
        ),
        Column::new(
            "ttft_sum_ns",
            Kind::Integer,
            From::View,
            "Times to first token together, nanoseconds.",
        ),
        Column::new(
            "ttft_count",
            Kind::Integer,
            From::View,
            "How many of them state it.",
        ),
        Column::new(
            "ttft_p50_ns",
            Kind::Real,
            From::View,
            "Median time to first token, to 5 %.",
        ),
        Column::new(
            "ttft_p99_ns",
            Kind::Real,
            From::View,
            "99th percentile, to 5 %.",
        ),
        Column::new("energy_joules", Kind::Real, From::View, "Energy, joules."),
    ],
};

fn rows(snapshot: &Snapshot, time: Option<&Range<u64>>) -> Result<Whole, TablesError> {
    // The first nanosecond of a minute is its name: a range of times holds the minutes that begin
    // in it.
    let minutes = time.map(|time| time.start.div_ceil(MINUTE)..time.end.div_ceil(MINUTE));
    let summed = snapshot.rollups(minutes.as_ref())?;
    let sums = summed.sums.iter();
    Ok(Whole {
        rows: sums.map(|(key, sums)| row(key, sums)).collect(),
        damaged: summed.damaged,
    })
}

fn row(key: &RollupKey, sums: &Rollup) -> Vec<Value> {
    let quantile = |times: &Histogram, share| Value::real(times.quantile(share));
    let total = |times: &Histogram| match times.count() {
        0 => Value::Null,
        _ => Value::count(times.sum()),
    };
    let joules = (sums.microjoules > 0).then(|| sums.microjoules as f64 / 1e6);
    vec![
        Value::count(key.minute.saturating_mul(MINUTE)),
        Value::text(&key.service),
        Value::text(&key.model),
        Value::text(&key.operation),
        Value::Integer(i64::from(key.failed)),
        Value::count(sums.spans),
        Value::known(sums.input_tokens),
        Value::known(sums.cached_tokens),
        Value::known(sums.output_tokens),
        total(&sums.duration),
        quantile(&sums.duration, 0.5),
        quantile(&sums.duration, 0.99),
        total(&sums.first_chunk),
        Value::count(sums.first_chunk.count()),
        quantile(&sums.first_chunk, 0.5),
        quantile(&sums.first_chunk, 0.99),
        Value::real(joules),
    ]
}
