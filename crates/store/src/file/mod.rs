//! A file of blocks: written whole under another name, synced, then renamed into place.
//!
//! ```text
//! file      := block* footer* directory tail
//! directory := count · entries · count · names of the files that this one replaces
//! entry     := signal · rows · oldest · newest · start · place, length and checksum of the footer ·
//!              filter of its traces
//! tail      := length of directory (u32) · its checksum (u64) · version (u32) · MAGIC
//! ```
//! What a question needs to pass a block over lies together at the end. Files of version 1 have
//! each footer behind its block, and no filters of traces.

mod writing;

pub(crate) use writing::Writing;

use crate::StoreError;
use crate::block::{Block, BlockMeta, ROW_LIMIT, Signal, Source, holds, trace_key};
use crate::codec::{Cursor, Malformed, put, put_bytes};
use crate::folder;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use xxhash_rust::xxh3::xxh3_64;

/// The format's version; raised when an older reader could not read what is written.
pub(crate) const VERSION: u32 = 2;
const MAGIC: &[u8; 4] = b"LLTS";
const TAIL: usize = 4 + 8 + 4 + 4;
/// Bytes of a file's end that are read at once: most directories fit.
const END: u64 = 64 << 10;
/// No directory or footer is larger, bytes: one that says so is damaged. The keys of attributes stand
/// in a footer, and one request may be little else.
const LARGEST: usize = 160 << 20;
/// Footers of a file that are read together take no more, bytes.
const FOOTERS: u64 = 16 << 20;

/// One block's place in a file, with what decides whether it is worth opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) signal: Signal,
    pub(crate) rows: usize,
    pub(crate) oldest: u64,
    pub(crate) newest: u64,
    start: u64,
    footer_start: u64,
    footer_length: usize,
    footer_checksum: u64,
    /// A filter of its traces; `None` in version 1.
    traces: Option<Vec<u8>>,
}

impl Entry {
    /// Whether block and footer lie one behind the other and before this place in the file.
    fn lies_before(&self, end: u64) -> bool {
        let footer_end = self.footer_end();
        self.start <= self.footer_start
            && self.footer_length <= LARGEST
            && footer_end.is_some_and(|footer_end| footer_end <= end)
    }

    fn footer_end(&self) -> Option<u64> {
        self.footer_start.checked_add(self.footer_length as u64)
    }

    /// Whether the footer is the one that the directory speaks of.
    fn is_of(&self, meta: &BlockMeta) -> bool {
        (self.signal, self.rows, self.oldest, self.newest)
            == (meta.signal, meta.rows, meta.oldest, meta.newest)
            && meta.length() as u64 <= self.footer_start - self.start
    }

    /// Whether a trace may be in the block; `false` is certain.
    pub(crate) fn may_hold_trace(&self, id: &[u8]) -> bool {
        // What its checksum vouches for is no filter of ours where that fails: asked further on.
        let holds = |filter: &Vec<u8>| holds(filter, trace_key(id)).unwrap_or(true);
        self.traces.as_ref().is_none_or(holds)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        for number in [
            u64::from(self.signal.code()),
            self.rows as u64,
            self.oldest,
            self.newest,
            self.start,
            self.footer_start,
            self.footer_length as u64,
        ] {
            put(out, number);
        }
        out.extend_from_slice(&self.footer_checksum.to_le_bytes());
        put_bytes(out, self.traces.as_deref().unwrap_or_default());
    }

    fn decode(cursor: &mut Cursor<'_>, version: u32) -> Result<Self, Malformed> {
        Ok(Self {
            signal: Signal::from_code(cursor.number()?).ok_or(Malformed)?,
            rows: cursor
                .size()
                .and_then(|rows| (rows <= ROW_LIMIT).then_some(rows).ok_or(Malformed))?,
            oldest: cursor.number()?,
            newest: cursor.number()?,
            start: cursor.number()?,
            footer_start: cursor.number()?,
            footer_length: cursor.size()?,
            footer_checksum: {
                let bytes = cursor.take(8)?.try_into().or(Err(Malformed))?;
                u64::from_le_bytes(bytes)
            },
            traces: match version {
                1 => None,
                _ => Some(cursor.bytes()?.to_vec()),
            },
        })
    }
}

/// A file of blocks that can be read.
#[derive(Debug)]
pub(crate) struct BlockFile {
    pub(crate) path: Arc<Path>,
    pub(crate) size: u64,
    pub(crate) entries: Vec<(Entry, OnceLock<Block>)>,
    /// Files, relative to the store's folder, whose rows are in this one.
    pub(crate) replaces: Vec<String>,
    file: Arc<File>,
    version: u32,
    /// Its footers were read together.
    footers_read: OnceLock<()>,
}

/// A directory with the tail behind it.
pub(crate) fn sealed(mut directory: Vec<u8>) -> Vec<u8> {
    let length = u32::try_from(directory.len()).unwrap_or(u32::MAX);
    let checksum = xxh3_64(&directory);
    directory.extend_from_slice(&length.to_le_bytes());
    directory.extend_from_slice(&checksum.to_le_bytes());
    directory.extend_from_slice(&VERSION.to_le_bytes());
    directory.extend_from_slice(MAGIC);
    directory
}

/// Makes the names in a file's folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), StoreError> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => sync(Path::new(".")),
        Some(parent) => sync(parent),
        None => Ok(()),
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| StoreError::io("sync", folder, error))
}

impl BlockFile {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::io("open", path, error);
        let damaged = |what| StoreError::Damaged {
            what,
            path: path.to_owned(),
        };
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let tail_start = size
            .checked_sub(TAIL as u64)
            .ok_or_else(|| damaged("shorter than its tail"))?;
        let end_start = size.saturating_sub(END);
        let mut end = vec![0; (size - end_start) as usize];
        file.read_exact_at(&mut end, end_start).map_err(failed)?;
        let mut tail = Cursor::new(&end[end.len() - TAIL..]);
        let (length, checksum, version) =
            read_tail(&mut tail).map_err(|Malformed| damaged("its end is not one of ours"))?;
        if version > VERSION {
            return Err(StoreError::Version {
                found: version,
                known: VERSION,
                path: path.to_owned(),
            });
        }
        let start = tail_start
            .checked_sub(length as u64)
            .filter(|_| length <= LARGEST)
            .ok_or_else(|| damaged("its directory lies outside"))?;
        let directory = if start >= end_start {
            end.truncate(end.len() - TAIL);
            end.split_off((start - end_start) as usize)
        } else {
            let mut directory = vec![0; length];
            file.read_exact_at(&mut directory, start).map_err(failed)?;
            directory
        };
        if xxh3_64(&directory) != checksum {
            return Err(damaged("the checksum of its directory differs"));
        }
        let (entries, replaces) =
            read_directory(&directory, version).map_err(|Malformed| damaged("its directory"))?;
        if !entries.iter().all(|entry| entry.lies_before(start)) {
            return Err(damaged("a block lies outside"));
        }
        Ok(Self {
            path: path.into(),
            size,
            entries: entries
                .into_iter()
                .map(|entry| (entry, OnceLock::new()))
                .collect(),
            replaces,
            file: Arc::new(file),
            version,
            footers_read: OnceLock::new(),
        })
    }

    /// The block's filter of traces, as it stands in the file.
    pub(crate) fn traces(&self, place: usize) -> Option<Vec<u8>> {
        self.entries[place].0.traces.clone()
    }

    /// A block of the file; footers are read the first time, in one piece where they lie together.
    pub(crate) fn block(&self, place: usize) -> Result<Block, StoreError> {
        let (entry, known) = &self.entries[place];
        if let Some(block) = known.get() {
            return Ok(block.clone());
        }
        if self.version > 1 && self.entries.len() > 1 {
            self.footers_read.get_or_init(|| self.read_footers());
            if let Some(block) = known.get() {
                return Ok(block.clone());
            }
        }
        let damaged = |what| StoreError::Damaged {
            what,
            path: PathBuf::from(&*self.path),
        };
        // Where it ends was checked with the directory: within the file as it was then.
        let mut footer = vec![0; entry.footer_length];
        self.file
            .read_exact_at(&mut footer, entry.footer_start)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => damaged("cut short"),
                _ => StoreError::io("read", &*self.path, error),
            })?;
        if xxh3_64(&footer) != entry.footer_checksum {
            return Err(damaged("the checksum of a footer differs"));
        }
        let block = self
            .with_footer(entry, &footer)
            .ok_or_else(|| damaged("a footer"))?;
        Ok(known.get_or_init(|| block).clone())
    }

    /// Reads all footers at once; those that are not sound are left to be read and named alone.
    fn read_footers(&self) {
        let starts = self.entries.iter().map(|(entry, _)| entry.footer_start);
        let ends = self
            .entries
            .iter()
            .filter_map(|(entry, _)| entry.footer_end());
        let (Some(start), Some(end)) = (starts.min(), ends.max()) else {
            return;
        };
        if end.saturating_sub(start) > FOOTERS {
            return;
        }
        let mut footers = vec![0; (end - start) as usize];
        if self.file.read_exact_at(&mut footers, start).is_err() {
            return;
        }
        for (entry, known) in &self.entries {
            let at = (entry.footer_start - start) as usize;
            let footer = &footers[at..at + entry.footer_length];
            if xxh3_64(footer) == entry.footer_checksum
                && let Some(block) = self.with_footer(entry, footer)
            {
                known.get_or_init(|| block);
            }
        }
    }

    /// The block with this footer, if it is its own.
    fn with_footer(&self, entry: &Entry, footer: &[u8]) -> Option<Block> {
        let meta = BlockMeta::decode(footer).ok()?;
        entry.is_of(&meta).then(|| Block {
            meta: Arc::new(meta),
            source: Source::File {
                file: self.file.clone(),
                base: entry.start,
            },
            path: self.path.clone(),
        })
    }
}

fn read_tail(tail: &mut Cursor<'_>) -> Result<(usize, u64, u32), Malformed> {
    let word = |bytes: &[u8]| bytes.try_into().map(u32::from_le_bytes).or(Err(Malformed));
    let length = word(tail.take(4)?)? as usize;
    let checksum = tail.take(8)?.try_into().or(Err(Malformed))?;
    let version = word(tail.take(4)?)?;
    (tail.take(4)? == MAGIC)
        .then_some((length, u64::from_le_bytes(checksum), version))
        .ok_or(Malformed)
}

fn read_directory(bytes: &[u8], version: u32) -> Result<(Vec<Entry>, Vec<String>), Malformed> {
    let mut cursor = Cursor::new(bytes);
    let mut entries = Vec::new();
    for _ in 0..cursor.count()? {
        entries.push(Entry::decode(&mut cursor, version)?);
    }
    let mut replaces = Vec::new();
    for _ in 0..cursor.count()? {
        let name = String::from_utf8(cursor.bytes()?.to_vec()).or(Err(Malformed))?;
        // What is replaced is removed: never anything outside of the store.
        if !folder::holds_rows(&name) {
            return Err(Malformed);
        }
        replaces.push(name);
    }
    Ok((entries, replaces))
}
