//! Rules of how spans stand to each other.

use super::rule::Rule;
use super::{At, Found};
use crate::conventions::Conventions;
use crate::value::find;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span, SpanFlags};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Spans held at most: about 150 MB.
const MOST: usize = 1_000_000;

/// What two clocks of one process, or two roundings, may differ by, ns.
const TOLERANCE: u64 = 1_000;

/// What the phases may differ from the wall time by, ns.
const PHASES_TOLERANCE: u64 = 1_000_000;

/// Names of the spans that a request's time divides into.
const PHASES: &[&str] = &["queue", "prefill", "decode"];

type Key = (Vec<u8>, Vec<u8>);

/// What is held of the spans.
#[derive(Debug, Default)]
pub(super) struct Tree {
    spans: HashMap<Key, Facts>,
    /// Ids that came twice, with the later one's name.
    doubled: Vec<(Key, String)>,
    origins: HashMap<Vec<u8>, u32>,
    left_out: u64,
}

#[derive(Debug)]
struct Facts {
    name: String,
    parent: Vec<u8>,
    start: u64,
    end: u64,
    origin: u32,
    parent_is_remote: bool,
    /// Whether its phases are all known, by its own attributes.
    whole: bool,
}

impl Tree {
    /// The process that a resource stands for.
    pub(super) fn origin(&mut self, resource: Option<&Resource>) -> u32 {
        use prost::Message as _;
        let bytes = resource.map(Resource::encode_to_vec).unwrap_or_default();
        let next = u32::try_from(self.origins.len()).unwrap_or(u32::MAX);
        *self.origins.entry(bytes).or_insert(next)
    }

    pub(super) fn add(&mut self, origin: u32, span: &Span) {
        if self.spans.len() >= MOST {
            self.left_out += 1;
            return;
        }
        let remote = SpanFlags::ContextIsRemoteMask as u32;
        let known = ["queue", "prefill", "decode"].map(|phase| {
            let name = format!("llamacpp.{phase}.duration");
            matches!(find(&span.attributes, &name), Some(Value::DoubleValue(_)))
        });
        let facts = Facts {
            name: span.name.clone(),
            parent: span.parent_span_id.clone(),
            start: span.start_time_unix_nano,
            end: span.end_time_unix_nano,
            origin,
            parent_is_remote: span.flags & remote != 0,
            whole: known == [true; 3],
        };
        match self
            .spans
            .entry((span.trace_id.clone(), span.span_id.clone()))
        {
            Entry::Vacant(place) => {
                place.insert(facts);
            }
            Entry::Occupied(place) => self.doubled.push((place.key().clone(), facts.name)),
        }
    }

    /// Checks all that is held; returns how many spans were too many to be.
    pub(super) fn check(&self, found: Found<'_>) -> u64 {
        for (key, name) in &self.doubled {
            at(key, name).report(found, Rule::DuplicateSpan, "another span has its id");
        }
        // In order of time, so that the same spans give the same findings.
        let mut spans: Vec<(&Key, &Facts)> = self.spans.iter().collect();
        spans.sort_by_key(|(key, facts)| (facts.start, *key));
        let mut children: HashMap<&Key, Vec<&Facts>> = HashMap::new();
        for (key, facts) in &spans {
            if facts.parent.is_empty() {
                continue;
            }
            let parent = (key.0.clone(), facts.parent.clone());
            match self.spans.get_key_value(&parent) {
                Some((parent_key, parent)) => {
                    children.entry(parent_key).or_default().push(facts);
                    inside(key, facts, parent, found);
                }
                None if !facts.parent_is_remote => at(key, &facts.name).report(
                    found,
                    Rule::DanglingParent,
                    "its parent is not here",
                ),
                None => {}
            }
        }
        for (key, facts) in spans.iter().filter(|(_, facts)| facts.whole) {
            let below = children.get(key).map_or(&[][..], Vec::as_slice);
            phases(key, facts, below, found);
        }
        self.left_out
    }
}

fn at<'a>(key: &'a Key, name: &str) -> At<'a> {
    At {
        conventions: Conventions::default(),
        subject: format!("span {name}"),
        ids: Some((&key.0, &key.1)),
    }
}

/// A child of the same process lies within its parent. Clocks of two machines differ.
fn inside(key: &Key, child: &Facts, parent: &Facts, found: Found<'_>) {
    if child.origin != parent.origin || child.parent_is_remote || child.end < child.start {
        return;
    }
    let early = parent.start.saturating_sub(child.start);
    let late = child.end.saturating_sub(parent.end);
    if early > TOLERANCE || late > TOLERANCE {
        let (by, what) = if early > TOLERANCE {
            (early, "begins before")
        } else {
            (late, "ends after")
        };
        at(key, &child.name).report(
            found,
            Rule::OutsideParent,
            format!("it {what} its parent `{}` by {by} ns", parent.name),
        );
    }
}

/// Queue, prefill and decode fill a request's span from the end of the last wait to its end.
fn phases(key: &Key, request: &Facts, children: &[&Facts], found: Found<'_>) {
    let all: Vec<&Facts> = PHASES
        .iter()
        .flat_map(|name| children.iter().filter(move |child| child.name == *name))
        .copied()
        .collect();
    let (Some(first), Some(last)) = (all.first(), all.last()) else {
        return;
    };
    if all.len() != PHASES.len() {
        return;
    }
    let sum: u64 = all
        .iter()
        .map(|phase| phase.end.saturating_sub(phase.start))
        .fold(0, u64::saturating_add);
    // What a request had to wait for before it was sent lies before its phases.
    let waited = children
        .iter()
        .filter(|child| child.end <= first.start.saturating_add(PHASES_TOLERANCE))
        .filter(|child| !PHASES.contains(&child.name.as_str()))
        .map(|child| child.end.saturating_sub(request.start))
        .max()
        .unwrap_or(0);
    let wall = request.end.saturating_sub(request.start);
    let off = wall.abs_diff(sum.saturating_add(waited));
    let gap = request.end.abs_diff(last.end);
    if off > PHASES_TOLERANCE || gap > PHASES_TOLERANCE {
        at(key, &request.name).report(
            found,
            Rule::PhasesDoNotSum,
            format!("its phases take {sum} ns, its wall time is {wall} ns"),
        );
    }
}
