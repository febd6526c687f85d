//! Gathers rows and makes a block of them.

use super::column::ValueType;
use super::filter::{self, Density};
use super::layout::{
    BlockMeta, COLUMN_LIMIT, CONTENT_LIMIT, ROW_LIMIT, SIZE_LIMIT, Shape, VALUE_LIMIT,
};
use super::output::{Output, Packing};
use super::schema::{RESOURCE, SCOPE, Signal, TIME, TRACE};
use super::strings::{Interner, encode_entry, short};
use crate::rollup::{self, Rollups};
use hashbrown::HashTable;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use prost::Message as _;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Longer values are not in the filter: nobody asks for a whole message by equality.
pub(crate) const LONGEST_KEY: usize = 256;

/// Rows on their way into a block.
#[derive(Debug)]
pub(crate) struct Builder {
    signal: Signal,
    rows: usize,
    numbers: Vec<Vec<u64>>,
    texts: Vec<Texts>,
    attributes: Vec<Attributes>,
    by_key: HashTable<u32>,
    shapes: BTreeMap<Vec<u32>, u32>,
    /// The shape of each row.
    shape: Vec<u64>,
    /// Long texts of all columns in pieces, each once.
    pieces: Interner,
    /// Hashes of texts that can be looked for, for the filter.
    keys: Vec<u64>,
    rollups: Rollups,
    /// Where the latest row came from, and its codes for that.
    origin: Option<(u64, [u64; 2])>,
    /// Scratch for one row's shape, and for one entry of a dictionary.
    columns: Vec<u32>,
    entry: Vec<u8>,
    /// Bytes of dictionaries and keys.
    size: usize,
    /// Bytes of all texts, put together.
    content: usize,
    /// Values of attributes.
    values: usize,
}

/// Resource and scope of rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// No other origin that these builders are fed from has it.
    pub(crate) number: u64,
    pub(crate) resource: &'a [u8],
    pub(crate) scope: &'a [u8],
}

/// A block that is ready to be written.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) bytes: Vec<u8>,
    pub(crate) meta: BlockMeta,
    /// A filter of its traces.
    pub(crate) traces: Vec<u8>,
}

/// A column of texts: codes into a dictionary of entries as they stand in the block.
#[derive(Debug, Default)]
struct Texts {
    entries: Interner,
    codes: Vec<u64>,
}

/// One attribute's values, of the rows that have it.
#[derive(Debug)]
struct Attributes {
    key: String,
    kind: ValueType,
    hash: u64,
    texts: Texts,
}

impl Builder {
    pub(crate) fn new(signal: Signal) -> Self {
        let schema = signal.schema();
        Self {
            signal,
            rows: 0,
            numbers: vec![Vec::new(); schema.numbers.len()],
            texts: schema.texts.iter().map(|_| Texts::default()).collect(),
            attributes: Vec::new(),
            by_key: HashTable::new(),
            shapes: BTreeMap::new(),
            shape: Vec::new(),
            pieces: Interner::default(),
            keys: Vec::new(),
            rollups: Rollups::new(),
            origin: None,
            columns: Vec::new(),
            entry: Vec::new(),
            size: 0,
            content: 0,
            values: 0,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether the block should be closed.
    pub(crate) fn is_full(&self) -> bool {
        self.rows >= ROW_LIMIT
            || self.size + self.pieces.bytes().len() >= SIZE_LIMIT
            || self.content >= CONTENT_LIMIT
            || self.values >= VALUE_LIMIT
            || self.attributes.len() >= COLUMN_LIMIT
    }

    /// The sums that go with the block.
    pub(crate) fn rollups(&mut self) -> &mut Rollups {
        &mut self.rollups
    }

    /// Adds a row: the numbers and texts of the signal's schema, in its order; resource and scope,
    /// the first two texts, are its origin.
    pub(crate) fn push(
        &mut self,
        origin: Origin<'_>,
        numbers: &[u64],
        texts: &[&[u8]],
        attributes: &[KeyValue],
    ) {
        for (column, value) in self.numbers.iter_mut().zip(numbers) {
            column.push(*value);
        }
        let codes = match self.origin {
            Some((number, codes)) if number == origin.number => codes,
            _ => [
                self.code(RESOURCE, origin.resource),
                self.code(SCOPE, origin.scope),
            ],
        };
        self.origin = Some((origin.number, codes));
        for (place, code) in codes.into_iter().enumerate() {
            self.texts[place].codes.push(code);
        }
        for (place, string) in (codes.len()..).zip(texts) {
            let code = self.code(place, string);
            self.texts[place].codes.push(code);
            self.content += string.len();
        }
        self.columns.clear();
        self.values += attributes.len();
        for attribute in attributes {
            let column = self.attribute(attribute);
            self.columns.push(column);
        }
        let next = self.shapes.len() as u64;
        let known = self.shapes.get(&self.columns).copied();
        let shape = known.unwrap_or_else(|| {
            self.shapes.insert(self.columns.clone(), next as u32);
            next as u32
        });
        self.shape.push(u64::from(shape));
        self.rows += 1;
    }

    /// The code of a text of the schema.
    fn code(&mut self, place: usize, string: &[u8]) -> u64 {
        let entries = &mut self.texts[place].entries;
        let (code, new) = entry(entries, string, &mut self.pieces, &mut self.entry);
        if new {
            self.size += self.entry.len();
            let schema = self.signal.schema();
            if schema.looked_for.contains(&place) {
                let hash = filter::key_hash(schema.texts[place], 0, string);
                self.keys.push(hash);
            }
        }
        code
    }

    /// Adds a value to its column and gives the column's number.
    fn attribute(&mut self, attribute: &KeyValue) -> u32 {
        let value = attribute.value.as_ref();
        let inner = value.and_then(|value| value.value.as_ref());
        let kind = match inner {
            Some(Value::StringValue(_)) => ValueType::Text,
            Some(Value::BoolValue(_)) => ValueType::Bool,
            Some(Value::IntValue(_)) => ValueType::Int,
            Some(Value::DoubleValue(_)) => ValueType::Double,
            Some(_) => ValueType::Other,
            None => ValueType::Empty,
        };
        let index = self.column(&attribute.key, kind);
        let code = match inner {
            Some(Value::StringValue(text)) => self.value(index, text.as_bytes()),
            Some(Value::BoolValue(value)) => u64::from(*value),
            Some(Value::IntValue(value)) => value.cast_unsigned(),
            Some(Value::DoubleValue(value)) => value.to_bits(),
            Some(other) => {
                let value = AnyValue {
                    value: Some(other.clone()),
                };
                self.value(index, &value.encode_to_vec())
            }
            None => u64::from(value.is_some()),
        };
        self.attributes[index as usize].texts.codes.push(code);
        index
    }

    /// The code of a text in a column of attributes.
    fn value(&mut self, column: u32, string: &[u8]) -> u64 {
        let column = &mut self.attributes[column as usize];
        let entries = &mut column.texts.entries;
        let (code, new) = entry(entries, string, &mut self.pieces, &mut self.entry);
        self.content += string.len();
        if new {
            self.size += self.entry.len();
            if string.len() <= LONGEST_KEY {
                let hash = filter::key_hash(&column.key, column.kind as u8, string);
                self.keys.push(hash);
            }
        }
        code
    }

    fn column(&mut self, key: &str, kind: ValueType) -> u32 {
        let hash = xxh3_64_with_seed(key.as_bytes(), kind as u64);
        let attributes = &self.attributes;
        let same = |index: &u32| {
            let column = &attributes[*index as usize];
            column.kind == kind && column.key == key
        };
        if let Some(index) = self.by_key.find(hash, same) {
            return *index;
        }
        let index = self.attributes.len() as u32;
        self.size += key.len();
        self.attributes.push(Attributes {
            key: key.to_owned(),
            kind,
            hash,
            texts: Texts::default(),
        });
        let attributes = &self.attributes;
        self.by_key
            .insert_unique(hash, index, |index| attributes[*index as usize].hash);
        index
    }

    /// The block. Each column is let go of as soon as it is written.
    pub(crate) fn finish(self, packing: Packing) -> std::io::Result<Built> {
        let mut out = Output::new(packing)?;
        let mut keys = self.keys;
        let times = &self.numbers[TIME];
        let mut meta = BlockMeta {
            rows: self.rows,
            oldest: times.iter().copied().min().unwrap_or(0),
            newest: times.iter().copied().max().unwrap_or(0),
            totals: Some(rollup::totals(&self.rollups)),
            ..BlockMeta::empty(self.signal)
        };
        meta.shape = out.numbers(&self.shape)?;
        drop(self.shape);
        for values in self.numbers {
            meta.numbers.push(out.column(&values, None)?);
        }
        let mut traces = Vec::new();
        for (place, column) in self.texts.into_iter().enumerate() {
            meta.texts
                .push(out.column(&column.codes, Some(&column.entries))?);
            if place == TRACE && self.signal != Signal::Metrics {
                traces = trace_keys(&column.entries);
            }
        }
        for column in self.attributes {
            let texts = &column.texts;
            let written = if column.kind.is_text() {
                out.column(&texts.codes, Some(&texts.entries))?
            } else {
                number_keys(&column, &mut keys);
                out.column(&texts.codes, None)?
            };
            meta.attributes.push((column.key, column.kind, written));
        }
        let mut shapes: Vec<_> = self.shapes.into_iter().collect();
        shapes.sort_by_key(|(_, code)| *code);
        meta.shapes = shapes
            .into_iter()
            .map(|(columns, _)| Shape { columns })
            .collect();
        meta.pages = out.pages(&self.pieces)?;
        drop(self.pieces);
        keys.sort_unstable();
        keys.dedup();
        meta.filter = out.raw(&filter::build(&keys, Density::Coarse));
        // The last chunk: where it ends, the block ends.
        let mut sums = Vec::new();
        rollup::encode(&self.rollups, &mut sums);
        meta.rollups = out.packed(&sums)?;
        Ok(Built {
            bytes: out.bytes,
            meta,
            traces: filter::build(&traces, Density::Fine),
        })
    }
}

/// The code of a string in a dictionary, and whether it is new there. `scratch` is left with the
/// entry that stands for it: two strings are the same if their entries are.
fn entry(
    entries: &mut Interner,
    string: &[u8],
    pieces: &mut Interner,
    scratch: &mut Vec<u8>,
) -> (u64, bool) {
    scratch.clear();
    encode_entry(string, pieces, scratch);
    let (code, new) = entries.intern_new(scratch);
    (u64::from(code), new)
}

/// Hashes of the traces in a dictionary. Whatever is too long for an id is none.
fn trace_keys(entries: &Interner) -> Vec<u64> {
    let ids = entries.iter().filter_map(|entry| short(entry));
    ids.map(trace_key).collect()
}

/// What stands for a trace in the filters.
pub(crate) fn trace_key(id: &[u8]) -> u64 {
    filter::key_hash(Signal::Traces.schema().texts[TRACE], 0, id)
}

/// Hashes of a column's distinct numbers, for the filter.
fn number_keys(column: &Attributes, keys: &mut Vec<u64>) {
    let mut values = column.texts.codes.clone();
    values.sort_unstable();
    values.dedup();
    let hash = |value: u64| filter::key_hash(&column.key, column.kind as u8, &value.to_le_bytes());
    keys.extend(values.into_iter().map(hash));
}
