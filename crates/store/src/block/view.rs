//! Reads a block: only the chunks that are asked for, each checked when it is read.

use super::build::trace_key;
use super::column::{ValueType, decode_numbers};
use super::filter::{self, Density};
use super::layout::{BlockMeta, Chunk, ColumnMeta};
use super::schema::{Signal, TRACE};
use super::strings::{Entry, LONGEST_LIST, decode_entry};
use crate::StoreError;
use crate::codec::{Cursor, Malformed};
use crate::rollup::{self, Rollups, Totals};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of strings that are put together for one question to a block at most. A builder lets no
/// block hold more; a few pieces that name each other's content over and over could.
const LARGEST_CONTENT: usize = 160 << 20;

/// Where a block's bytes are.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Memory(Arc<Vec<u8>>),
    File {
        file: Arc<File>,
        /// Where the block begins in the file.
        base: u64,
    },
}

/// A block that can be read.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) meta: Arc<BlockMeta>,
    pub(crate) source: Source,
    /// For messages.
    pub(crate) path: Arc<Path>,
}

/// The strings of a column.
#[derive(Debug)]
pub(crate) struct Dictionary {
    bytes: Vec<u8>,
    entries: Vec<Stored>,
}

#[derive(Debug)]
enum Stored {
    Whole(Range<usize>),
    Pieces(Vec<u32>),
}

impl Block {
    pub(crate) fn damaged(&self, what: &'static str) -> StoreError {
        StoreError::Damaged {
            what,
            path: PathBuf::from(&*self.path),
        }
    }

    fn bytes(&self, start: usize, length: usize) -> Result<Vec<u8>, StoreError> {
        match &self.source {
            Source::Memory(bytes) => start
                .checked_add(length)
                .and_then(|end| bytes.get(start..end))
                .map(<[u8]>::to_vec)
                .ok_or_else(|| self.damaged("a chunk lies outside")),
            Source::File { file, base } => {
                // Where it ends was checked with the footer: within the file.
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, base + start as u64)
                    .map_err(|source| match source.kind() {
                        std::io::ErrorKind::UnexpectedEof => self.damaged("a chunk lies outside"),
                        _ => StoreError::io("read", &*self.path, source),
                    })?;
                Ok(bytes)
            }
        }
    }

    /// All bytes of the block, footer excluded, each chunk checked.
    pub(crate) fn all(&self) -> Result<Vec<u8>, StoreError> {
        let bytes = self.bytes(0, self.meta.length())?;
        for chunk in self.meta.chunks() {
            // That it lies within was checked with the footer.
            if xxh3_64(&bytes[chunk.start..chunk.start + chunk.length]) != chunk.checksum {
                return Err(self.damaged("a checksum differs"));
            }
        }
        Ok(bytes)
    }

    /// A filter of its traces, made anew: files of format 1 have none.
    pub(crate) fn trace_filter(&self) -> Result<Vec<u8>, StoreError> {
        if self.meta.signal == Signal::Metrics {
            return Ok(Vec::new());
        }
        let dictionary = self.dictionary(&self.meta.texts[TRACE])?;
        let ids = (0..dictionary.len()).filter_map(|index| dictionary.short(index));
        let keys: Vec<u64> = ids.map(trace_key).collect();
        Ok(filter::build(&keys, Density::Fine))
    }

    /// The sums of the whole block.
    pub(crate) fn totals(&self) -> Result<Totals, StoreError> {
        match &self.meta.totals {
            Some(totals) => Ok(totals.clone()),
            None => Ok(rollup::totals(&self.rollups()?)),
        }
    }

    pub(crate) fn chunk(&self, chunk: &Chunk) -> Result<Vec<u8>, StoreError> {
        let bytes = self.bytes(chunk.start, chunk.length)?;
        if xxh3_64(&bytes) != chunk.checksum {
            return Err(self.damaged("a checksum differs"));
        }
        if chunk.unpacked == chunk.length {
            return Ok(bytes);
        }
        zstd::bulk::decompress(&bytes, chunk.unpacked)
            .ok()
            .filter(|bytes| bytes.len() == chunk.unpacked)
            .ok_or_else(|| self.damaged("a chunk cannot be unpacked"))
    }

    /// The shape of each row. Together the rows have each attribute's values, no more and no less.
    pub(crate) fn shapes(&self) -> Result<Vec<u64>, StoreError> {
        let codes = decode_numbers(&self.chunk(&self.meta.shape)?, self.meta.rows)
            .map_err(|Malformed| self.damaged("the shapes of rows"))?;
        let mut rows = vec![0_usize; self.meta.shapes.len()];
        for code in &codes {
            let rows = usize::try_from(*code)
                .ok()
                .and_then(|code| rows.get_mut(code));
            *rows.ok_or_else(|| self.damaged("a row of unknown shape"))? += 1;
        }
        let mut held = vec![0_usize; self.meta.attributes.len()];
        for (shape, rows) in self.meta.shapes.iter().zip(rows) {
            for place in &shape.columns {
                held[*place as usize] += rows;
            }
        }
        let attributes = self.meta.attributes.iter().map(|(_, _, column)| column);
        if !attributes.map(|column| column.count).eq(held) {
            return Err(self.damaged("rows that have other values than their columns"));
        }
        Ok(codes)
    }

    /// A column's numbers, or its codes into the dictionary: none lies outside of it.
    pub(crate) fn values(&self, column: &ColumnMeta) -> Result<Vec<u64>, StoreError> {
        let values = decode_numbers(&self.chunk(&column.values)?, column.count)
            .map_err(|Malformed| self.damaged("a column's numbers"))?;
        let bound = column.dictionary.map(|(_, entries)| entries as u64);
        if bound.is_some_and(|bound| values.iter().any(|value| *value >= bound)) {
            return Err(self.damaged("a code outside its dictionary"));
        }
        Ok(values)
    }

    /// A column's strings; none for a column of numbers.
    pub(crate) fn dictionary(&self, column: &ColumnMeta) -> Result<Dictionary, StoreError> {
        let Some((chunk, count)) = &column.dictionary else {
            return Ok(Dictionary {
                bytes: Vec::new(),
                entries: Vec::new(),
            });
        };
        let bytes = self.chunk(chunk)?;
        let entries =
            entries(&bytes, *count).map_err(|Malformed| self.damaged("a dictionary's entries"))?;
        Ok(Dictionary { bytes, entries })
    }

    /// Whether a value may be in the block; `false` is certain.
    pub(crate) fn may_hold(&self, hash: u64) -> Result<bool, StoreError> {
        let filter = &self.meta.filter;
        let Some(start) = filter::line_start(hash, filter.length) else {
            return Ok(false);
        };
        let line = self.bytes(filter.start + start, filter::LINE)?;
        filter::may_hold(&line, hash).map_err(|Malformed| self.damaged("its filter"))
    }

    pub(crate) fn rollups(&self) -> Result<Rollups, StoreError> {
        rollup::decode(&self.chunk(&self.meta.rollups)?)
            .map_err(|Malformed| self.damaged("the sums"))
    }

    /// The places of an attribute's columns, one for each type it has.
    pub(crate) fn attribute(&self, key: &str) -> impl Iterator<Item = (usize, ValueType)> {
        self.meta
            .attributes
            .iter()
            .enumerate()
            .filter(move |(_, (name, _, _))| name == key)
            .map(|(place, (_, kind, _))| (place, *kind))
    }
}

fn entries(bytes: &[u8], count: usize) -> Result<Vec<Stored>, Malformed> {
    let mut cursor = Cursor::new(bytes);
    let mut entries = Vec::new();
    let mut listed = 0;
    for _ in 0..count {
        let entry = match decode_entry(&mut cursor)? {
            Entry::Whole(string) => {
                let end = cursor.position();
                Stored::Whole(end - string.len()..end)
            }
            Entry::Pieces(pieces) => {
                listed += pieces.len();
                if listed > LONGEST_LIST {
                    return Err(Malformed);
                }
                Stored::Pieces(pieces)
            }
        };
        entries.push(entry);
    }
    cursor.is_empty().then_some(entries).ok_or(Malformed)
}

impl Dictionary {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// A string that is not kept in pieces.
    pub(crate) fn short(&self, index: usize) -> Option<&[u8]> {
        match self.entries.get(index)? {
            Stored::Whole(range) => self.bytes.get(range.clone()),
            Stored::Pieces(_) => None,
        }
    }

    /// A string, put together.
    pub(crate) fn string(
        &self,
        index: usize,
        pieces: &mut Pieces<'_>,
    ) -> Result<Vec<u8>, StoreError> {
        match self.entries.get(index) {
            Some(Stored::Whole(range)) => {
                pieces.take(range.len())?;
                Ok(self.bytes[range.clone()].to_vec())
            }
            Some(Stored::Pieces(list)) => {
                let mut string = Vec::new();
                for piece in list {
                    let piece = pieces.get(*piece)?;
                    string.extend_from_slice(piece);
                    let length = piece.len();
                    pieces.take(length)?;
                }
                Ok(string)
            }
            None => Err(pieces.block.damaged("a code outside its dictionary")),
        }
    }

    /// The entries that satisfy a test.
    pub(crate) fn matching(
        &self,
        pieces: &mut Pieces<'_>,
        mut test: impl FnMut(&[u8]) -> bool,
    ) -> Result<Vec<bool>, StoreError> {
        (0..self.len())
            .map(|index| match self.short(index) {
                Some(string) => Ok(test(string)),
                None => Ok(test(&self.string(index, pieces)?)),
            })
            .collect()
    }
}

/// The block's pieces of content; a page is unpacked when a piece of it is first asked for.
#[derive(Debug)]
pub(crate) struct Pieces<'a> {
    block: &'a Block,
    pages: Vec<Option<Page>>,
    /// Bytes that may still be put together.
    left: usize,
}

#[derive(Debug)]
struct Page {
    bytes: Vec<u8>,
    pieces: Vec<Range<usize>>,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(block: &'a Block) -> Self {
        Self {
            block,
            pages: block.meta.pages.iter().map(|_| None).collect(),
            left: LARGEST_CONTENT,
        }
    }

    pub(crate) fn block(&self) -> &'a Block {
        self.block
    }

    /// Counts bytes that are put together.
    fn take(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or_else(|| self.block.damaged("more content than a block holds"))?;
        Ok(())
    }

    pub(crate) fn get(&mut self, index: u32) -> Result<&[u8], StoreError> {
        let block = self.block;
        let missing = || block.damaged("a piece of content is missing");
        let mut within = index as usize;
        let (place, meta) = block
            .meta
            .pages
            .iter()
            .enumerate()
            .find(|(_, page)| match within.checked_sub(page.count) {
                Some(left) => {
                    within = left;
                    false
                }
                None => true,
            })
            .ok_or_else(missing)?;
        let slot = self.pages.get_mut(place).ok_or_else(missing)?;
        let page = if let Some(page) = slot {
            page
        } else {
            let bytes = block.chunk(&meta.chunk)?;
            let pieces = cuts(&bytes, meta.count).map_err(|Malformed| missing())?;
            slot.insert(Page { bytes, pieces })
        };
        let range = page.pieces.get(within).cloned().ok_or_else(missing)?;
        Ok(&page.bytes[range])
    }
}

fn cuts(bytes: &[u8], count: usize) -> Result<Vec<Range<usize>>, Malformed> {
    let mut cursor = Cursor::new(bytes);
    let mut pieces = Vec::new();
    for _ in 0..count {
        let length = cursor.bytes()?.len();
        let end = cursor.position();
        pieces.push(end - length..end);
    }
    Ok(pieces)
}
