//! What must hold of a row.

use crate::StoreError;
use crate::block::{self, Block, NAME, Pieces, RESOURCE, SPAN, Signal, TRACE, ValueType, key_hash};
use crate::reader::Part;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message as _;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// Of more traces than this a block's filter is not asked one by one: some are in most blocks.
const ASKED: usize = 4_096;

/// What must hold of a row.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Condition {
    /// It belongs to this trace.
    Trace([u8; 16]),
    /// It belongs to one of these traces.
    AnyTrace(BTreeSet<[u8; 16]>),
    /// Its trace's id lies between these, both included: all that begin alike.
    TraceWithin(RangeInclusive<[u8; 16]>),
    /// It is this span, or a log record of it.
    Span([u8; 8]),
    /// Its name (of the span, the event or the metric) is this.
    Name(String),
    /// An attribute has this value.
    Attribute(String, Literal),
    /// An attribute is there, whatever its value.
    Has(String),
    /// `service.name` of its resource.
    Service(String),
    /// A span with error status, or without.
    Failed(bool),
    /// A span at least so long, ns.
    LongerThan(u64),
    /// A span at most so long, ns.
    ShorterThan(u64),
    /// A log record at least so grave, by OTLP's severity numbers.
    Severity(u64),
    /// A text of the row holds this, in any case of letters.
    Holds(String),
}

/// A value as it was typed: `48` is a number, a text and a double at once, as nobody who asks
/// knows how the program that sent it put it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal(pub String);

impl Literal {
    /// The bytes that the value has in a column of this type.
    fn bytes(&self, kind: ValueType) -> Option<Vec<u8>> {
        let number = |number: u64| number.to_le_bytes().to_vec();
        match kind {
            ValueType::Text => Some(self.0.clone().into_bytes()),
            ValueType::Bool => Some(number(u64::from(self.0.parse::<bool>().ok()?))),
            ValueType::Int => Some(number(self.0.parse::<i64>().ok()?.cast_unsigned())),
            ValueType::Double => Some(number(self.0.parse::<f64>().ok()?.to_bits())),
            ValueType::Other | ValueType::Empty => None,
        }
    }
}

/// Status code of a span that failed, as a column holds it.
const FAILED: u64 = 3;

impl Condition {
    /// Whether a row of the block may meet it, by what is known without a look at the disk.
    pub(crate) fn may_hold_part(&self, part: &Part) -> bool {
        match self {
            Self::Trace(id) => part.may_hold_trace(id),
            Self::AnyTrace(ids) => {
                ids.len() > ASKED || ids.iter().any(|id| part.may_hold_trace(id))
            }
            _ => true,
        }
    }

    /// Whether a row of the block may meet it; `false` is certain, and costs a look at the filter.
    pub(crate) fn may_hold(&self, block: &Block) -> Result<bool, StoreError> {
        let schema = block.meta.signal.schema();
        let text = |place: usize, value: &[u8]| {
            if schema.looked_for.contains(&place) {
                block.may_hold(key_hash(schema.texts[place], 0, value))
            } else {
                Ok(true)
            }
        };
        match self {
            Self::Trace(id) => text(TRACE, id),
            Self::AnyTrace(ids) => {
                if ids.len() > ASKED {
                    return Ok(true);
                }
                for id in ids {
                    if text(TRACE, id)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Span(id) => text(SPAN, id),
            Self::Name(name) => text(NAME, name.as_bytes()),
            Self::Attribute(key, value) => {
                for (_, kind) in block.attribute(key) {
                    let Some(bytes) = value.bytes(kind) else {
                        continue;
                    };
                    // Long values are not in the filter.
                    if bytes.len() > block::LONGEST_KEY
                        || block.may_hold(key_hash(key, kind as u8, &bytes))?
                    {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Has(key) => Ok(block.attribute(key).next().is_some()),
            Self::LongerThan(nanos) => {
                Ok(block.meta.numbers[block::span::DURATION].largest >= *nanos)
            }
            _ => Ok(true),
        }
    }

    /// The rows of the block that meet it, rising.
    pub(crate) fn rows(&self, block: &Block) -> Result<Vec<u32>, StoreError> {
        let is_span = block.meta.signal == Signal::Traces;
        match self {
            Self::Trace(id) => by_text(block, TRACE, |text| text == id),
            Self::AnyTrace(ids) => by_text(block, TRACE, |text| ids.contains(text)),
            Self::TraceWithin(ids) => by_text(block, TRACE, |text| {
                <[u8; 16]>::try_from(text).is_ok_and(|id| ids.contains(&id))
            }),
            Self::Span(id) => by_text(block, SPAN, |text| text == id),
            Self::Name(name) => by_text(block, NAME, |text| text == name.as_bytes()),
            Self::Service(name) => by_text(block, RESOURCE, |text| {
                service(text).as_deref() == Some(name)
            }),
            Self::Failed(failed) if is_span => by_number(block, block::span::STATUS, |status| {
                (status == FAILED) == *failed
            }),
            Self::LongerThan(nanos) if is_span => by_number(block, block::span::DURATION, |time| {
                lasted(time, *nanos..=LONGEST)
            }),
            Self::ShorterThan(nanos) if is_span => {
                by_number(block, block::span::DURATION, |time| {
                    lasted(time, 0..=*nanos)
                })
            }
            Self::Severity(least) if block.meta.signal == Signal::Logs => {
                by_number(block, block::log::SEVERITY, |severity| severity >= *least)
            }
            Self::Failed(_) | Self::LongerThan(_) | Self::ShorterThan(_) | Self::Severity(_) => {
                Ok(Vec::new())
            }
            Self::Attribute(key, value) => {
                let mut hits = Hits::new(block);
                for (place, kind) in block.attribute(key) {
                    if let Some(bytes) = value.bytes(kind) {
                        hits.add(block, place, kind, &|found| found == bytes)?;
                    }
                }
                hits.rows(block)
            }
            Self::Has(key) => {
                let mut hits = Hits::new(block);
                for (place, _) in block.attribute(key) {
                    hits.columns[place] = Some(vec![true; block.meta.attributes[place].2.count]);
                }
                hits.rows(block)
            }
            Self::Holds(text) => holding(block, text),
        }
    }
}

/// The longest time that is one: an end before the start wraps round beyond it, as does a span
/// that has not ended.
const LONGEST: u64 = i64::MAX.cast_unsigned();

fn lasted(time: u64, wanted: std::ops::RangeInclusive<u64>) -> bool {
    time <= LONGEST && wanted.contains(&time)
}

fn by_number(
    block: &Block,
    place: usize,
    test: impl Fn(u64) -> bool,
) -> Result<Vec<u32>, StoreError> {
    let values = block.values(&block.meta.numbers[place])?;
    Ok((0..)
        .zip(values)
        .filter(|(_, value)| test(*value))
        .map(|(row, _)| row)
        .collect())
}

fn by_text(
    block: &Block,
    place: usize,
    test: impl Fn(&[u8]) -> bool,
) -> Result<Vec<u32>, StoreError> {
    let column = &block.meta.texts[place];
    let matching = block
        .dictionary(column)?
        .matching(&mut Pieces::new(block), |text| test(text))?;
    let values = block.values(column)?;
    Ok((0..)
        .zip(values)
        .filter(|(_, code)| matching[*code as usize])
        .map(|(row, _)| row)
        .collect())
}

/// `service.name` out of a resource as it is kept.
fn service(resource: &[u8]) -> Option<String> {
    // The messages of all signals hold their resource in the same field.
    let resource = ResourceSpans::decode(resource).ok()?.resource?;
    let name = resource
        .attributes
        .into_iter()
        .find(|attribute| attribute.key == "service.name")?;
    match name.value?.value? {
        Value::StringValue(name) => Some(name),
        _ => None,
    }
}

/// Which values of which attribute columns meet a test.
struct Hits {
    columns: Vec<Option<Vec<bool>>>,
}

impl Hits {
    fn new(block: &Block) -> Self {
        Self {
            columns: vec![None; block.meta.attributes.len()],
        }
    }

    fn add(
        &mut self,
        block: &Block,
        place: usize,
        kind: ValueType,
        test: &dyn Fn(&[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let column = &block.meta.attributes[place].2;
        let values = block.values(column)?;
        let hits: Vec<bool> = if kind.is_text() {
            let matching = block
                .dictionary(column)?
                .matching(&mut Pieces::new(block), test)?;
            values.iter().map(|code| matching[*code as usize]).collect()
        } else {
            values
                .iter()
                .map(|value| test(&value.to_le_bytes()))
                .collect()
        };
        if hits.contains(&true) {
            self.columns[place] = Some(hits);
        }
        Ok(())
    }

    /// The rows that have a value that was hit.
    fn rows(&self, block: &Block) -> Result<Vec<u32>, StoreError> {
        if self.columns.iter().all(Option::is_none) {
            return Ok(Vec::new());
        }
        let mut next = vec![0_usize; self.columns.len()];
        let mut rows = Vec::new();
        for (row, shape) in (0..).zip(block.shapes()?) {
            let mut hit = false;
            for place in &block.meta.shapes[shape as usize].columns {
                let place = *place as usize;
                if let Some(hits) = &self.columns[place] {
                    hit |= hits.get(next[place]).copied().unwrap_or(false);
                    next[place] += 1;
                }
            }
            if hit {
                rows.push(row);
            }
        }
        Ok(rows)
    }
}

/// Rows of which a text (name, status message, body, an attribute) holds the words.
fn holding(block: &Block, text: &str) -> Result<Vec<u32>, StoreError> {
    let wanted = text.to_lowercase();
    let holds = |bytes: &[u8]| {
        // Content is JSON or protobuf: what is no text in it cannot be what was typed.
        String::from_utf8_lossy(bytes)
            .to_lowercase()
            .contains(&wanted)
    };
    let mut hits = Hits::new(block);
    for (place, (_, kind, _)) in block.meta.attributes.iter().enumerate() {
        if kind.is_text() {
            hits.add(block, place, *kind, &holds)?;
        }
    }
    let mut rows = hits.rows(block)?;
    let own: &[usize] = match block.meta.signal {
        Signal::Traces => &[NAME, block::span::MESSAGE, block::span::REST],
        Signal::Logs => &[NAME, block::log::BODY],
        Signal::Metrics => &[NAME],
    };
    for place in own {
        rows.extend(by_text(block, *place, holds)?);
    }
    rows.sort_unstable();
    rows.dedup();
    Ok(rows)
}
