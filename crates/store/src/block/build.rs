//! Gathers rows and makes a block of them.

use super::column::{ValueType, encode_numbers};
use super::filter;
use super::layout::{
    BlockMeta, COLUMN_LIMIT, Chunk, ColumnMeta, PAGE, PiecePage, ROW_LIMIT, SIZE_LIMIT, Shape,
    VALUE_LIMIT,
};
use super::schema::{Signal, TIME};
use super::strings::{Interner, encode_entry};
use crate::codec::put_bytes;
use crate::rollup::{self, Rollups};
use hashbrown::HashTable;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use prost::Message as _;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Effort of compression. Above it the time grows faster than the gain.
const LEVEL: i32 = 3;
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
    rollups: Rollups,
    /// Scratch for one row's shape.
    columns: Vec<u32>,
    size: usize,
    /// Values of attributes.
    values: usize,
}

#[derive(Debug, Default)]
struct Texts {
    strings: Interner,
    codes: Vec<u64>,
}

impl Texts {
    fn push(&mut self, string: &[u8]) {
        self.codes.push(u64::from(self.strings.intern(string)));
    }
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
            rollups: Rollups::new(),
            columns: Vec::new(),
            size: 0,
            values: 0,
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether the block should be closed.
    pub(crate) fn is_full(&self) -> bool {
        self.rows >= ROW_LIMIT
            || self.size >= SIZE_LIMIT
            || self.values >= VALUE_LIMIT
            || self.attributes.len() >= COLUMN_LIMIT
    }

    /// The sums that go with the block.
    pub(crate) fn rollups(&mut self) -> &mut Rollups {
        &mut self.rollups
    }

    /// Adds a row: the numbers and texts of the signal's schema, in its order.
    pub(crate) fn push(&mut self, numbers: &[u64], texts: &[&[u8]], attributes: &[KeyValue]) {
        for (column, value) in self.numbers.iter_mut().zip(numbers) {
            column.push(*value);
        }
        for (column, string) in self.texts.iter_mut().zip(texts) {
            column.push(string);
            self.size += string.len();
        }
        self.columns.clear();
        self.values += attributes.len();
        for attribute in attributes {
            self.size += attribute.encoded_len();
            let column = self.attribute(attribute);
            self.columns.push(column);
        }
        let next = self.shapes.len() as u32;
        let known = self.shapes.get(&self.columns).copied();
        let shape = known.unwrap_or_else(|| {
            self.shapes.insert(self.columns.clone(), next);
            next
        });
        self.shape.push(u64::from(shape));
        self.rows += 1;
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
        let texts = &mut self.attributes[index as usize].texts;
        match inner {
            Some(Value::StringValue(text)) => texts.push(text.as_bytes()),
            Some(Value::BoolValue(value)) => texts.codes.push(u64::from(*value)),
            Some(Value::IntValue(value)) => texts.codes.push(value.cast_unsigned()),
            Some(Value::DoubleValue(value)) => texts.codes.push(value.to_bits()),
            Some(other) => {
                let value = AnyValue {
                    value: Some(other.clone()),
                };
                texts.push(&value.encode_to_vec());
            }
            None => texts.codes.push(u64::from(value.is_some())),
        }
        index
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

    /// The block's bytes and what stands in its footer.
    pub(crate) fn finish(self) -> std::io::Result<(Vec<u8>, BlockMeta)> {
        let schema = self.signal.schema();
        let mut out = Output::default();
        let mut pieces = Interner::default();
        let mut hashes = Vec::new();
        let times = &self.numbers[TIME];
        let mut meta = BlockMeta {
            signal: self.signal,
            rows: self.rows,
            oldest: times.iter().copied().min().unwrap_or(0),
            newest: times.iter().copied().max().unwrap_or(0),
            ..BlockMeta::empty(self.signal)
        };
        meta.shape = out.numbers(&self.shape)?;
        for values in &self.numbers {
            meta.numbers.push(out.column(values, None, &mut pieces)?);
        }
        for (place, column) in self.texts.iter().enumerate() {
            if schema.looked_for.contains(&place) {
                let key = schema.texts[place];
                hashes.extend(
                    column
                        .strings
                        .iter()
                        .map(|string| filter::key_hash(key, 0, string)),
                );
            }
            let column = out.column(&column.codes, Some(&column.strings), &mut pieces)?;
            meta.texts.push(column);
        }
        for column in &self.attributes {
            let strings = column.kind.is_text().then_some(&column.texts.strings);
            column_hashes(column, &mut hashes);
            let written = out.column(&column.texts.codes, strings, &mut pieces)?;
            meta.attributes
                .push((column.key.clone(), column.kind, written));
        }
        let mut shapes: Vec<_> = self.shapes.into_iter().collect();
        shapes.sort_by_key(|(_, code)| *code);
        meta.shapes = shapes
            .into_iter()
            .map(|(columns, _)| Shape { columns })
            .collect();
        meta.pages = out.pages(&pieces)?;
        hashes.sort_unstable();
        hashes.dedup();
        meta.filter = out.raw(&filter::build(&hashes));
        // The last chunk: where it ends, the block ends.
        let mut sums = Vec::new();
        rollup::encode(&self.rollups, &mut sums);
        meta.rollups = out.packed(&sums)?;
        Ok((out.bytes, meta))
    }
}

/// Hashes of a column's distinct values, for the filter.
fn column_hashes(column: &Attributes, hashes: &mut Vec<u64>) {
    let mut add = |value: &[u8]| {
        if value.len() <= LONGEST_KEY {
            hashes.push(filter::key_hash(&column.key, column.kind as u8, value));
        }
    };
    if column.kind.is_text() {
        column.texts.strings.iter().for_each(add);
    } else {
        let mut values = column.texts.codes.clone();
        values.sort_unstable();
        values.dedup();
        for value in values {
            add(&value.to_le_bytes());
        }
    }
}

/// The block's bytes so far.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    scratch: Vec<u8>,
}

impl Output {
    fn column(
        &mut self,
        values: &[u64],
        strings: Option<&Interner>,
        pieces: &mut Interner,
    ) -> std::io::Result<ColumnMeta> {
        let dictionary = match strings {
            None => None,
            Some(strings) => {
                let mut entries = std::mem::take(&mut self.scratch);
                entries.clear();
                for string in strings.iter() {
                    encode_entry(string, pieces, &mut entries);
                }
                let chunk = self.packed(&entries);
                self.scratch = entries;
                Some((chunk?, strings.len()))
            }
        };
        Ok(ColumnMeta {
            count: values.len(),
            values: self.numbers(values)?,
            smallest: values.iter().copied().min().unwrap_or(0),
            largest: values.iter().copied().max().unwrap_or(0),
            dictionary,
        })
    }

    fn numbers(&mut self, values: &[u64]) -> std::io::Result<Chunk> {
        let mut bytes = Vec::new();
        encode_numbers(values, &mut bytes);
        self.packed(&bytes)
    }

    fn pages(&mut self, pieces: &Interner) -> std::io::Result<Vec<PiecePage>> {
        let mut pages = Vec::new();
        let (mut bytes, mut count) = (Vec::new(), 0);
        for piece in pieces.iter() {
            put_bytes(&mut bytes, piece);
            count += 1;
            if bytes.len() >= PAGE {
                pages.push(PiecePage {
                    count,
                    chunk: self.packed(&bytes)?,
                });
                count = 0;
                bytes.clear();
            }
        }
        if count > 0 {
            pages.push(PiecePage {
                count,
                chunk: self.packed(&bytes)?,
            });
        }
        Ok(pages)
    }

    /// Compressed, unless that makes it no shorter.
    fn packed(&mut self, bytes: &[u8]) -> std::io::Result<Chunk> {
        let packed = zstd::bulk::compress(bytes, LEVEL)?;
        if packed.len() >= bytes.len() {
            return Ok(self.raw(bytes));
        }
        let chunk = self.raw(&packed);
        Ok(Chunk {
            unpacked: bytes.len(),
            ..chunk
        })
    }

    fn raw(&mut self, bytes: &[u8]) -> Chunk {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Chunk {
            start,
            length: bytes.len(),
            unpacked: bytes.len(),
            checksum: xxh3_64(bytes),
        }
    }
}
