//! Rows of one signal as an export request.

use super::{Broken, Request, log_record, points, span};
use crate::block::{RESOURCE, Row, SCOPE, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message as _;
use std::collections::BTreeMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of a resource or scope from which it is put into a request only once: rows that alternate
/// between two such would take as much memory as if each had its own.
const LARGE: usize = 4 << 10;

/// A resource or scope as it is kept.
type Bytes = Arc<[u8]>;

/// Equal bytes; rows of one block share them.
fn is_same(one: &Bytes, other: &Bytes) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// Which resource of a request a row belongs to, and which of its scopes.
struct Place {
    resource: usize,
    scope: usize,
    /// It is to be added at that place.
    new_resource: bool,
    new_scope: bool,
}

/// A large resource or scope, and its place.
type Large = (Bytes, usize);

/// The resources and scopes of a request so far.
#[derive(Default)]
struct Origins {
    /// How many scopes each resource has.
    scopes: Vec<usize>,
    /// Resource and scope of the latest row, and their places.
    latest: Option<([Bytes; 2], [usize; 2])>,
    /// Large ones by the place of what they are in and their checksum.
    large: BTreeMap<(Option<usize>, u64), Large>,
}

impl Origins {
    fn place(&mut self, from: [Bytes; 2]) -> Place {
        let latest = self.latest.take();
        let [resource, scope] = &from;
        let same = latest.as_ref().filter(|(of, _)| is_same(&of[0], resource));
        let known = same.map(|(_, places)| places[0]);
        let known = known.or_else(|| self.known(None, resource));
        let place = known.unwrap_or(self.scopes.len());
        if known.is_none() {
            self.scopes.push(0);
            self.keep(None, resource, place);
        }
        let same = same.filter(|(of, _)| is_same(&of[1], scope));
        let known_scope = same.map(|(_, places)| places[1]);
        let known_scope = known_scope.or_else(|| self.known(Some(place), scope));
        let scope_place = known_scope.unwrap_or(self.scopes[place]);
        if known_scope.is_none() {
            self.scopes[place] += 1;
            self.keep(Some(place), scope, scope_place);
        }
        self.latest = Some((from, [place, scope_place]));
        Place {
            resource: place,
            scope: scope_place,
            new_resource: known.is_none(),
            new_scope: known_scope.is_none(),
        }
    }

    fn known(&self, within: Option<usize>, bytes: &Bytes) -> Option<usize> {
        if bytes.len() < LARGE {
            return None;
        }
        let (known, place) = self.large.get(&(within, xxh3_64(bytes)))?;
        is_same(known, bytes).then_some(*place)
    }

    fn keep(&mut self, within: Option<usize>, bytes: &Bytes, place: usize) {
        if bytes.len() >= LARGE {
            self.large
                .insert((within, xxh3_64(bytes)), (bytes.clone(), place));
        }
    }
}

/// Rows of one signal as an export request; neighbours of one resource and scope lie together, and
/// all rows of a resource or scope that is large.
pub(crate) fn gather(signal: Signal, rows: Vec<Row>) -> Result<Request, Broken> {
    let mut all = match signal {
        Signal::Traces => Request::Traces(ExportTraceServiceRequest::default()),
        Signal::Metrics => Request::Metrics(ExportMetricsServiceRequest::default()),
        Signal::Logs => Request::Logs(ExportLogsServiceRequest::default()),
    };
    let mut origins = Origins::default();
    for row in rows {
        let place = origins.place([RESOURCE, SCOPE].map(|place| row.texts[place].clone()));
        let from = [RESOURCE, SCOPE].map(|place| &*row.texts[place]);
        // Each arm: open what is new, then add the row where it belongs.
        match &mut all {
            Request::Traces(request) => {
                if place.new_resource {
                    request.resource_spans.push(ResourceSpans::decode(from[0])?);
                }
                let resource = request
                    .resource_spans
                    .get_mut(place.resource)
                    .ok_or(Broken("no resource"))?;
                if place.new_scope {
                    resource.scope_spans.push(ScopeSpans::decode(from[1])?);
                }
                let scope = resource
                    .scope_spans
                    .get_mut(place.scope)
                    .ok_or(Broken("no scope"))?;
                scope.spans.push(span(row)?);
            }
            Request::Logs(request) => {
                if place.new_resource {
                    request.resource_logs.push(ResourceLogs::decode(from[0])?);
                }
                let resource = request
                    .resource_logs
                    .get_mut(place.resource)
                    .ok_or(Broken("no resource"))?;
                if place.new_scope {
                    resource.scope_logs.push(ScopeLogs::decode(from[1])?);
                }
                let scope = resource
                    .scope_logs
                    .get_mut(place.scope)
                    .ok_or(Broken("no scope"))?;
                scope.log_records.push(log_record(row)?);
            }
            Request::Metrics(request) => {
                if place.new_resource {
                    request
                        .resource_metrics
                        .push(ResourceMetrics::decode(from[0])?);
                }
                let resource = request
                    .resource_metrics
                    .get_mut(place.resource)
                    .ok_or(Broken("no resource"))?;
                if place.new_scope {
                    resource.scope_metrics.push(ScopeMetrics::decode(from[1])?);
                }
                let scope = resource
                    .scope_metrics
                    .get_mut(place.scope)
                    .ok_or(Broken("no scope"))?;
                points::gather(&mut scope.metrics, row)?;
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(rows: &[(usize, usize)], length: usize) -> Vec<(usize, usize, bool, bool)> {
        let mut origins = Origins::default();
        // As from several blocks: equal, but not shared.
        let bytes = |number: usize| vec![u8::try_from(number).unwrap(); length].into();
        let all = rows.iter().map(|(resource, scope)| {
            let place = origins.place([bytes(*resource), bytes(*scope)]);
            let new = (place.new_resource, place.new_scope);
            (place.resource, place.scope, new.0, new.1)
        });
        all.collect()
    }

    #[test]
    fn only_what_is_large_is_looked_up() {
        let rows = [(7, 1), (7, 2), (8, 1), (7, 1), (7, 1)];
        assert_eq!(
            places(&rows, LARGE),
            [
                (0, 0, true, true),
                (0, 1, false, true),
                (1, 0, true, true),
                (0, 0, false, false),
                (0, 0, false, false),
            ]
        );
        // Small ones lie in the order of their rows.
        assert_eq!(
            places(&rows, LARGE - 1),
            [
                (0, 0, true, true),
                (0, 1, false, true),
                (1, 0, true, true),
                (2, 0, true, true),
                (2, 0, false, false),
            ]
        );
    }
}
