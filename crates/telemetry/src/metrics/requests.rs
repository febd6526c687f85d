//! From finished requests to measurements.
//!
//! What one request measures goes to some twenty series. They are looked up once for requests that
//! are alike, so that counting one costs a hash and twenty additions.

use super::aggregate::Origin;
use super::attributes::Attributes;
use super::names::Id;
use super::registry::{Registry, SERIES_LIMIT, SeriesId};
use crate::conventions::Profile;
use crate::value::unix_nanos;
use llamatelemetry_record::{FinishReason, Operation, RequestRecord};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};

/// What is measured of a request. Each belongs to one instrument at most in a version of the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Duration,
    FirstChunk,
    PerChunk,
    InputTokens,
    OutputTokens,
    CachedTokens,
    ReasoningTokens,
    InputSize,
    OutputSize,
    ServerDuration,
    ServerFirstToken,
    ServerPerToken,
    Queue,
    Prefill,
    Decode,
    Evaluated,
    Drafted,
    DraftAccepted,
    Wasted,
    Failed,
    Energy,
    TokenEnergy,
}

const MEASURES: usize = Measure::TokenEnergy as usize + 1;

/// Where a measure goes.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Not asked yet.
    Unknown,
    /// Nowhere in this version of the names.
    Nowhere,
    Series(SeriesId),
}

/// What requests that are alike share.
#[derive(Debug)]
struct Alike {
    key: Key<String>,
    attributes: Attributes,
    places: [Place; MEASURES],
}

/// What tells series of requests apart.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key<Text> {
    operation: Operation,
    model: Text,
    response_model: Option<Text>,
    server: Option<(Text, u16)>,
    error: Option<Text>,
}

/// Counts finished requests.
#[derive(Debug, Default)]
pub(super) struct Requests {
    hasher: RandomState,
    alike: HashMap<u64, Vec<Alike>>,
    kinds: usize,
}

impl Requests {
    /// Counts a request that has ended. `exemplars` tells whether its trace is kept, so that
    /// measurements may lead to it.
    pub(super) fn ended(
        &mut self,
        registry: &mut Registry,
        record: &RequestRecord,
        exemplars: bool,
    ) {
        let phases = &record.phases;
        let mut to = self.target(registry, record, exemplars);
        let seconds = |time: std::time::Duration| time.as_secs_f64();
        let total = Some(seconds(phases.total));
        to.put(Measure::Duration, total);
        to.put(Measure::ServerDuration, total);
        let first = phases.ttft().map(seconds);
        to.put(Measure::FirstChunk, first.filter(|_| record.streamed));
        for gap in record.gaps.iter().filter(|_| record.streamed) {
            to.put(Measure::PerChunk, Some(seconds(*gap)));
        }
        to.put(Measure::Queue, phases.queue.map(seconds));
        to.put(Measure::Prefill, phases.prefill.map(seconds));
        to.put(Measure::Decode, phases.decode.map(seconds));
        if record.failure.is_none() {
            to.put(Measure::ServerFirstToken, first);
            let rate = record.decode_per_second();
            to.put(Measure::ServerPerToken, rate.map(f64::recip));
        } else {
            to.put(Measure::Failed, Some(1.0));
        }

        let usage = &record.usage;
        let count = |count: Option<u64>| count.map(|count| count as f64);
        to.put(Measure::InputTokens, count(usage.prompt_tokens));
        to.put(Measure::InputSize, count(usage.prompt_tokens));
        to.put(Measure::CachedTokens, count(usage.cached_tokens));
        let evaluated = usage.prompt_tokens.zip(usage.cached_tokens);
        let evaluated = evaluated.and_then(|(all, cached)| all.checked_sub(cached));
        to.put(Measure::Evaluated, count(evaluated));
        to.put(Measure::OutputTokens, count(usage.completion_tokens));
        to.put(Measure::ReasoningTokens, count(usage.reasoning_tokens));
        to.put(Measure::OutputSize, count(usage.completion_tokens));
        if let Some(timings) = &record.server_timings {
            to.put(Measure::Drafted, count(timings.draft_n));
            to.put(Measure::DraftAccepted, count(timings.draft_n_accepted));
        }
        let cancelled = record.finish_reason == Some(FinishReason::Cancelled);
        if cancelled || record.failure.is_some() {
            // Where the server did not come to count, deltas are about as many as tokens.
            let tokens = usage.completion_tokens.unwrap_or(record.deltas);
            to.put(Measure::Wasted, Some(tokens as f64));
        }
    }

    /// Counts the energy of a request, once it is known.
    pub(super) fn energy(
        &mut self,
        registry: &mut Registry,
        record: &RequestRecord,
        exemplars: bool,
    ) {
        let Some(energy) = record.energy else { return };
        let mut to = self.target(registry, record, exemplars);
        to.put(Measure::Energy, Some(energy.joules));
        to.put(Measure::TokenEnergy, record.joules_per_token());
    }

    fn target<'a>(
        &'a mut self,
        registry: &'a mut Registry,
        record: &RequestRecord,
        exemplars: bool,
    ) -> Target<'a> {
        let key = Key {
            operation: record.endpoint.operation(),
            model: record.model.as_str(),
            response_model: record.response_model.as_deref(),
            server: record
                .server
                .as_ref()
                .map(|(host, port)| (host.as_str(), *port)),
            error: record.failure.as_ref().map(|failure| failure.kind.as_str()),
        };
        if self.kinds >= SERIES_LIMIT {
            // Callers that name a new model each time end in the overflow series anyway.
            self.alike.clear();
            self.kinds = 0;
        }
        let hash = self.hasher.hash_one(&key);
        let same = self.alike.entry(hash).or_default();
        let known = same.iter().position(|alike| alike.key.is(&key));
        let place = known.unwrap_or_else(|| {
            self.kinds += 1;
            same.push(Alike {
                attributes: attributes(&key, registry.version()),
                key: key.owned(),
                places: [Place::Unknown; MEASURES],
            });
            same.len() - 1
        });
        let now = nanoseconds(record);
        let origin = Origin {
            at: now,
            trace_id: record.trace_id,
            span_id: record.span_id,
        };
        Target {
            registry,
            alike: &mut same[place],
            origin: exemplars.then_some(origin),
            now,
        }
    }
}

/// The series of one request.
struct Target<'a> {
    registry: &'a mut Registry,
    alike: &'a mut Alike,
    origin: Option<Origin>,
    now: u64,
}

impl Target<'_> {
    /// Counts a measurement, if there is one.
    fn put(&mut self, measure: Measure, value: Option<f64>) {
        let Some(value) = value else { return };
        let place = &mut self.alike.places[measure as usize];
        if let Place::Unknown = place {
            *place = match measure.instrument(self.alike.key.operation, self.registry.version()) {
                None => Place::Nowhere,
                Some(id) => {
                    let attributes = measure.attributes(id, &self.alike.attributes);
                    Place::Series(self.registry.series(id, &attributes, self.now))
                }
            };
        }
        if let Place::Series(series) = *place {
            self.registry.record(series, value, self.origin);
        }
    }
}

impl Measure {
    fn instrument(self, operation: Operation, version: Profile) -> Option<Id> {
        let latest = version == Profile::Latest;
        let inference = matches!(operation, Operation::Chat | Operation::TextCompletion);
        let id = match self {
            Self::Duration if latest && inference => Id::InferenceDuration,
            Self::Duration => Id::OperationDuration,
            Self::FirstChunk if latest => Id::FirstChunk,
            Self::FirstChunk => Id::OperationFirstChunk,
            Self::PerChunk if latest => Id::PerChunk,
            Self::PerChunk => Id::OperationPerChunk,
            Self::InputTokens => Id::InputTokens,
            Self::OutputTokens => Id::OutputTokens,
            Self::CachedTokens => Id::CachedTokens,
            Self::ReasoningTokens => Id::ReasoningTokens,
            Self::InputSize if latest => Id::OperationInputTokens,
            Self::OutputSize if latest => Id::OperationOutputTokens,
            Self::InputSize | Self::OutputSize => Id::TokenUsage,
            Self::ServerDuration => Id::ServerDuration,
            Self::ServerFirstToken => Id::ServerFirstToken,
            Self::ServerPerToken => Id::ServerPerToken,
            Self::Queue => Id::QueueDuration,
            Self::Prefill => Id::PrefillDuration,
            Self::Decode => Id::DecodeDuration,
            Self::Evaluated => Id::EvaluatedTokens,
            Self::Drafted => Id::DraftTokens,
            Self::DraftAccepted => Id::DraftAccepted,
            Self::Wasted => Id::WastedTokens,
            Self::Failed => Id::RequestErrors,
            Self::Energy => Id::RequestEnergy,
            Self::TokenEnergy => Id::TokenEnergy,
        };
        id.instrument().versions.include(version).then_some(id)
    }

    /// The attributes of this measure's series. Only what a failure prolongs or cuts short says
    /// which it was.
    fn attributes(self, id: Id, request: &Attributes) -> Attributes {
        let attributes = match (self, id) {
            (Self::InputTokens | Self::CachedTokens, _) => {
                // A prompt may hold images, and the server does not count them apart.
                request.with("gen_ai.token.modality", "unknown")
            }
            (Self::OutputTokens | Self::ReasoningTokens, _) => {
                request.with("gen_ai.token.modality", "text")
            }
            (Self::InputSize, Id::TokenUsage) => request.with("gen_ai.token.type", "input"),
            (Self::OutputSize, Id::TokenUsage) => request.with("gen_ai.token.type", "output"),
            _ => request.clone(),
        };
        match self {
            Self::Duration
            | Self::ServerDuration
            | Self::InputSize
            | Self::OutputSize
            | Self::Failed
            | Self::Wasted => attributes,
            _ => attributes.without("error.type"),
        }
    }
}

fn attributes(key: &Key<&str>, version: Profile) -> Attributes {
    let provider = match version {
        Profile::V1_36 => "gen_ai.system",
        Profile::V1_41 | Profile::Latest => "gen_ai.provider.name",
    };
    let (host, port) = key.server.unzip();
    Attributes::default()
        .with("gen_ai.operation.name", key.operation.as_str())
        .with(provider, crate::conventions::names::PROVIDER)
        .with_some(
            "gen_ai.request.model",
            Some(key.model).filter(|model| !model.is_empty()),
        )
        .with_some("gen_ai.response.model", key.response_model)
        .with_some("server.address", host)
        .with_some("server.port", port.map(i64::from))
        .with_some("error.type", key.error)
}

impl Key<&str> {
    fn owned(&self) -> Key<String> {
        let server = self.server.map(|(host, port)| (host.to_owned(), port));
        Key {
            operation: self.operation,
            model: self.model.to_owned(),
            response_model: self.response_model.map(str::to_owned),
            server,
            error: self.error.map(str::to_owned),
        }
    }
}

impl Key<String> {
    fn is(&self, other: &Key<&str>) -> bool {
        let server = self.server.as_ref();
        self.operation == other.operation
            && self.model == other.model
            && self.response_model.as_deref() == other.response_model
            && server.map(|(host, port)| (host.as_str(), *port)) == other.server
            && self.error.as_deref() == other.error
    }
}

/// When a request ended.
fn nanoseconds(record: &RequestRecord) -> u64 {
    unix_nanos(record.started_at + record.phases.total)
}
