//! What the dashboard and `llt top` ask: JSON and a stream of events, below a prefix of their own
//! that llama-server will never use. `openapi.json` describes every path; a test holds the two
//! together.

mod ask;
mod events;
mod feed;
mod figures;
mod health;
mod live;
mod machine;
mod problem;
mod prometheus;
mod recent;
mod status;

pub(crate) use feed::Feed;

use crate::Shared;
use axum::Router;
use axum::routing::get;
use http::header::{CONTENT_TYPE, HeaderValue};
use std::sync::Arc;

/// Every document states it; it changes when a field's meaning does.
const SCHEMA_VERSION: u32 = 1;

/// The description of all that is served here.
const OPENAPI: &str = include_str!("openapi.json");

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/livez", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/health", get(health::health))
        .route("/v1/health", get(health::health))
        .route("/metrics", get(prometheus::metrics))
        .route("/llamatelemetry/metrics", get(prometheus::ours))
        .route("/llamatelemetry/openapi.json", get(openapi))
        .nest(
            "/llamatelemetry/v1",
            Router::new()
                .route("/status", get(status::status))
                .route("/store", get(status::store))
                .route("/requests", get(recent::requests))
                .route("/requests/live", get(live::requests))
                .route("/traces/{trace_id}", get(recent::trace))
                .route("/figures", get(figures::figures))
                .route("/series", get(recent::series))
                .route("/logs", get(recent::logs))
                .route("/machine", get(machine::machine))
                .route("/events", get(events::events)),
        )
        // What is unknown below our prefix is not llama-server's.
        .route("/llamatelemetry", get(problem::unknown))
        .route("/llamatelemetry/{*rest}", get(problem::unknown))
}

async fn openapi() -> ([(http::HeaderName, HeaderValue); 1], &'static str) {
    let kind = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, kind)], OPENAPI)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The paths that this file names, by its own text: a router does not tell its routes.
    fn routes_here() -> BTreeSet<String> {
        let text = include_str!("mod.rs");
        let (text, _) = text.split_once("// What is unknown").unwrap();
        let (outer, nested) = text.split_once(".nest(").unwrap();
        let paths = |text: &str, prefix: &str| -> Vec<String> {
            let parts = text.split(".route(\"").skip(1);
            let paths = parts.filter_map(|part| part.split('"').next());
            paths.map(|path| format!("{prefix}{path}")).collect()
        };
        let nested = paths(nested, "/llamatelemetry/v1");
        paths(outer, "").into_iter().chain(nested).collect()
    }

    #[test]
    fn every_path_is_described() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let described = document["paths"].as_object().unwrap();
        let described: BTreeSet<String> = described.keys().cloned().collect();
        assert_eq!(described, routes_here());
    }

    #[test]
    fn every_path_stands_in_the_docs() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/serve-api.md");
        let docs = std::fs::read_to_string(docs).unwrap();
        for path in routes_here() {
            assert!(docs.contains(&format!("{path}`")), "{path}");
        }
    }
}
