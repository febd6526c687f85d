//! What the store holds: requests, a trace, log records, points of a metric.

use super::SCHEMA_VERSION;
use super::ask::{self, Wanted};
use super::problem::Problem;
use crate::Shared;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::Uri;
use http::header::{CONTENT_TYPE, HeaderValue};
use llamatelemetry_store::Condition;
use llamatelemetry_telemetry::names::attribute;
use llamatelemetry_telemetry::recorded::{self, LogLine, Point, TraceSummary};
use serde::Serialize;
use std::sync::Arc;

#[derive(Debug, Serialize)]
pub(super) struct RequestsDocument {
    schema_version: u32,
    requests: Vec<TraceSummary>,
}

#[derive(Debug, Serialize)]
pub(super) struct LogsDocument {
    schema_version: u32,
    logs: Vec<LogLine>,
}

#[derive(Debug, Serialize)]
pub(super) struct SeriesDocument {
    schema_version: u32,
    points: Vec<Point>,
}

/// The newest traces with a model request in them.
pub(super) async fn requests(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
) -> Result<Json<RequestsDocument>, Problem> {
    let wanted: Wanted = ask::parameters(&uri)?;
    let query = wanted.query(vec![Condition::Has(attribute::OPERATION.to_owned())])?;
    let requests = ask::store(&shared, move |store| Ok(store.traces(&query)?)).await?;
    Ok(Json(RequestsDocument {
        schema_version: SCHEMA_VERSION,
        requests,
    }))
}

/// One trace, as OTLP's JSON.
pub(super) async fn trace(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id = ask::trace_id(&id)?;
    let json = ask::store(&shared, move |store| {
        let document = store.trace(id)?;
        match &document.spans {
            Some(spans) if !spans.is_empty() => Ok(recorded::json(document)),
            _ => Err(Problem::not_found("there is no such trace")),
        }
    })
    .await?;
    let kind = HeaderValue::from_static("application/json");
    Ok(([(CONTENT_TYPE, kind)], json).into_response())
}

/// The newest log records, oldest first.
pub(super) async fn logs(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
) -> Result<Json<LogsDocument>, Problem> {
    let query = ask::parameters::<Wanted>(&uri)?.query(Vec::new())?;
    let logs = ask::store(&shared, move |store| Ok(store.logs(&query)?)).await?;
    Ok(Json(LogsDocument {
        schema_version: SCHEMA_VERSION,
        logs,
    }))
}

/// The newest points of a metric, oldest first.
pub(super) async fn series(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
) -> Result<Json<SeriesDocument>, Problem> {
    let wanted: Wanted = ask::parameters(&uri)?;
    let name = wanted.metric.clone();
    let name = name.ok_or_else(|| Problem::wrong("metric must be named"))?;
    let query = wanted.query(vec![Condition::Name(name)])?;
    let points = ask::store(&shared, move |store| Ok(store.points(&query)?)).await?;
    Ok(Json(SeriesDocument {
        schema_version: SCHEMA_VERSION,
        points,
    }))
}
