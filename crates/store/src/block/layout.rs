//! A block's footer: what lies where.
//!
//! Positions in a footer count from its block's first byte. All numbers in it are LEB128 varints;
//! fixed ones are little-endian.

use super::column::ValueType;
use super::schema::Signal;
use crate::codec::{Cursor, Malformed, put, put_bytes};
use crate::rollup::{self, Totals};

/// Rows of a block at most.
pub(crate) const ROW_LIMIT: usize = 16_384;
/// Bytes of texts in a block, each counted once, about; a block is closed above it.
pub(crate) const SIZE_LIMIT: usize = 12 << 20;
/// Bytes of all its rows' texts put together; a block is closed above it, however often they repeat.
pub(crate) const CONTENT_LIMIT: usize = 64 << 20;

/// Attributes of one row at most: a request with more is refused.
pub(crate) const ATTRIBUTE_LIMIT: usize = 1 << 16;
/// Values of attributes in a block; it is closed at so many.
pub(crate) const VALUE_LIMIT: usize = 1 << 21;
/// Columns of attributes in a block; it is closed at so many.
pub(crate) const COLUMN_LIMIT: usize = 1 << 16;
/// Pieces of content compressed together, bytes: large enough to compress well, small enough that
/// reading one message does not read the block.
pub(crate) const PAGE: usize = 512 << 10;
/// No block unpacks to more, bytes: its texts are at most [`SIZE_LIMIT`] and one request, each
/// kept twice at worst (a metric's name stands in its descriptor too), and its numbers.
const LARGEST_BLOCK: usize = 256 << 20;

/// A stretch of a block, checked by its checksum (XXH3, 64 bits) when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Chunk {
    pub(crate) start: usize,
    pub(crate) length: usize,
    /// Bytes after unpacking; equal to `length` where the chunk is not compressed.
    pub(crate) unpacked: usize,
    pub(crate) checksum: u64,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ColumnMeta {
    /// Values in it.
    pub(crate) count: usize,
    /// The numbers, or the codes into the dictionary.
    pub(crate) values: Chunk,
    pub(crate) smallest: u64,
    pub(crate) largest: u64,
    /// The strings and how many there are.
    pub(crate) dictionary: Option<(Chunk, usize)>,
}

/// Which attributes a row has, in order: places in [`BlockMeta::attributes`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Shape {
    pub(crate) columns: Vec<u32>,
}

/// Pieces of content that are compressed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PiecePage {
    pub(crate) count: usize,
    pub(crate) chunk: Chunk,
}

/// What a block holds and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockMeta {
    pub(crate) signal: Signal,
    pub(crate) rows: usize,
    /// Times of the oldest and newest row, ns since 1970.
    pub(crate) oldest: u64,
    pub(crate) newest: u64,
    pub(crate) shape: Chunk,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) numbers: Vec<ColumnMeta>,
    pub(crate) texts: Vec<ColumnMeta>,
    pub(crate) attributes: Vec<(String, ValueType, ColumnMeta)>,
    pub(crate) pages: Vec<PiecePage>,
    pub(crate) filter: Chunk,
    pub(crate) rollups: Chunk,
    /// The sums of the whole block; `None` in files of format 1.
    pub(crate) totals: Option<Totals>,
}

impl BlockMeta {
    pub(crate) fn empty(signal: Signal) -> Self {
        Self {
            signal,
            rows: 0,
            oldest: 0,
            newest: 0,
            shape: Chunk::default(),
            shapes: Vec::new(),
            numbers: Vec::new(),
            texts: Vec::new(),
            attributes: Vec::new(),
            pages: Vec::new(),
            filter: Chunk::default(),
            rollups: Chunk::default(),
            totals: None,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, u64::from(self.signal.code()));
        for number in [self.rows as u64, self.oldest, self.newest] {
            put(&mut out, number);
        }
        self.shape.encode(&mut out);
        put(&mut out, self.shapes.len() as u64);
        for shape in &self.shapes {
            put(&mut out, shape.columns.len() as u64);
            for column in &shape.columns {
                put(&mut out, u64::from(*column));
            }
        }
        for columns in [&self.numbers, &self.texts] {
            put(&mut out, columns.len() as u64);
            for column in columns {
                column.encode(&mut out);
            }
        }
        put(&mut out, self.attributes.len() as u64);
        for (key, kind, column) in &self.attributes {
            put_bytes(&mut out, key.as_bytes());
            put(&mut out, *kind as u64);
            column.encode(&mut out);
        }
        put(&mut out, self.pages.len() as u64);
        for page in &self.pages {
            put(&mut out, page.count as u64);
            page.chunk.encode(&mut out);
        }
        self.filter.encode(&mut out);
        self.rollups.encode(&mut out);
        if let Some(totals) = &self.totals {
            rollup::encode_totals(totals, &mut out);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let cursor = &mut Cursor::new(bytes);
        let signal = Signal::from_code(cursor.number()?).ok_or(Malformed)?;
        let mut meta = Self {
            rows: cursor.size()?,
            oldest: cursor.number()?,
            newest: cursor.number()?,
            shape: Chunk::decode(cursor)?,
            ..Self::empty(signal)
        };
        meta.shapes = list(cursor, |cursor| {
            let columns = list(cursor, |cursor| {
                u32::try_from(cursor.number()?).or(Err(Malformed))
            })?;
            Ok(Shape { columns })
        })?;
        meta.numbers = list(cursor, ColumnMeta::decode)?;
        meta.texts = list(cursor, ColumnMeta::decode)?;
        meta.attributes = list(cursor, |cursor| {
            let key = String::from_utf8(cursor.bytes()?.to_vec()).or(Err(Malformed))?;
            let kind = ValueType::from_code(cursor.number()?).ok_or(Malformed)?;
            Ok((key, kind, ColumnMeta::decode(cursor)?))
        })?;
        meta.pages = list(cursor, |cursor| {
            Ok(PiecePage {
                count: cursor.size()?,
                chunk: Chunk::decode(cursor)?,
            })
        })?;
        meta.filter = Chunk::decode(cursor)?;
        meta.rollups = Chunk::decode(cursor)?;
        if !cursor.is_empty() {
            meta.totals = Some(rollup::decode_totals(cursor)?);
        }
        meta.is_sound().then_some(meta).ok_or(Malformed)
    }

    /// Every stretch of the block.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        let columns = self.numbers.iter().chain(&self.texts);
        let attributes = self.attributes.iter().map(|(_, _, column)| column);
        [&self.shape, &self.filter, &self.rollups]
            .into_iter()
            .chain(columns.chain(attributes).flat_map(ColumnMeta::chunks))
            .chain(self.pages.iter().map(|page| &page.chunk))
    }

    /// Bytes of the block without its footer.
    pub(crate) fn length(&self) -> usize {
        // The last chunk; that it ends somewhere was checked.
        self.rollups.start.saturating_add(self.rollups.length)
    }

    /// Whether the parts fit together, so that no reader has to look again.
    fn is_sound(&self) -> bool {
        self.has_its_columns() && self.fits_its_limits()
    }

    /// Whether every chunk lies in the block and what it unpacks to can be held: a footer is
    /// believed no size that a builder would not have made.
    fn fits_its_limits(&self) -> bool {
        let length = self.length();
        let values = total(self.attributes.iter().map(|(_, _, column)| column.count));
        let unpacked = total(self.chunks().map(|chunk| chunk.unpacked));
        let named = total(self.shapes.iter().map(|shape| shape.columns.len()));
        self.chunks()
            .all(|chunk| (chunk.start.checked_add(chunk.length)).is_some_and(|end| end <= length))
            && unpacked <= LARGEST_BLOCK
            && self.attributes.len() <= COLUMN_LIMIT + ATTRIBUTE_LIMIT
            && values <= VALUE_LIMIT + ATTRIBUTE_LIMIT
            && self.shapes.len() <= self.rows
            && named <= values
            && self.pages.iter().all(|page| page.count <= PAGE)
    }

    fn has_its_columns(&self) -> bool {
        let schema = self.signal.schema();
        let columns = self.attributes.len();
        let full = |column: &ColumnMeta| column.count == self.rows;
        self.rows <= ROW_LIMIT
            && self.numbers.len() == schema.numbers.len()
            && self.texts.len() == schema.texts.len()
            && self
                .numbers
                .iter()
                .all(|column| full(column) && column.dictionary.is_none())
            && self
                .texts
                .iter()
                .all(|column| full(column) && column.dictionary.is_some())
            && self
                .attributes
                .iter()
                .all(|(_, kind, column)| kind.is_text() == column.dictionary.is_some())
            && self
                .texts
                .iter()
                .chain(self.attributes.iter().map(|(_, _, column)| column))
                .all(ColumnMeta::uses_its_strings)
            && self
                .shapes
                .iter()
                .flat_map(|shape| &shape.columns)
                .all(|column| (*column as usize) < columns)
    }
}

fn total(mut sizes: impl Iterator<Item = usize>) -> usize {
    sizes.try_fold(0, usize::checked_add).unwrap_or(usize::MAX)
}

fn list<T>(
    cursor: &mut Cursor<'_>,
    mut one: impl FnMut(&mut Cursor<'_>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    (0..cursor.count()?).map(|_| one(cursor)).collect()
}

impl Chunk {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.start as u64);
        put(out, self.length as u64);
        put(out, self.unpacked as u64);
        out.extend_from_slice(&self.checksum.to_le_bytes());
    }

    pub(crate) fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let (start, length, unpacked) = (cursor.size()?, cursor.size()?, cursor.size()?);
        let checksum = cursor.take(8)?.try_into().or(Err(Malformed))?;
        Ok(Self {
            start,
            length,
            unpacked,
            checksum: u64::from_le_bytes(checksum),
        })
    }
}

impl ColumnMeta {
    fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        let strings = self.dictionary.as_ref().map(|(chunk, _)| chunk);
        std::iter::once(&self.values).chain(strings)
    }

    /// Whether it has no more strings than values: each stands for one at least.
    fn uses_its_strings(&self) -> bool {
        self.dictionary
            .is_none_or(|(_, strings)| strings <= self.count)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.count as u64);
        self.values.encode(out);
        put(out, self.smallest);
        put(out, self.largest);
        match &self.dictionary {
            None => put(out, 0),
            Some((chunk, entries)) => {
                put(out, *entries as u64 + 1);
                chunk.encode(out);
            }
        }
    }

    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            count: cursor.size()?,
            values: Chunk::decode(cursor)?,
            smallest: cursor.number()?,
            largest: cursor.number()?,
            dictionary: match cursor.size()? {
                0 => None,
                entries => Some((Chunk::decode(cursor)?, entries - 1)),
            },
        })
    }
}
