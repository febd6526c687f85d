//! A file of blocks: written whole under another name, synced, then renamed into place.
//!
//! ```text
//! file      := (block footer)* directory tail
//! directory := count · entries · count · names of the files that this one replaces
//! tail      := length of directory (u32) · its checksum (u64) · MAGIC
//! ```

use crate::StoreError;
use crate::block::{Block, BlockMeta, ROW_LIMIT, Signal, Source};
use crate::codec::{Cursor, Malformed, put, put_bytes};
use crate::folder;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use xxhash_rust::xxh3::xxh3_64;

/// The format's version; raised when an older reader could not read what is written.
pub(crate) const VERSION: u32 = 1;
const MAGIC: &[u8; 4] = b"LLTS";
const TAIL: usize = 4 + 8 + 4 + 4;
/// No directory or footer is larger, bytes: one that says so is damaged. The keys of attributes stand
/// in a footer, and one request may be little else.
const LARGEST: usize = 160 << 20;

/// One block's place in a file, with what decides whether it is worth opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) signal: Signal,
    pub(crate) rows: usize,
    pub(crate) oldest: u64,
    pub(crate) newest: u64,
    start: u64,
    footer_start: u64,
    footer_length: usize,
    footer_checksum: u64,
}

impl Entry {
    /// Whether block and footer lie one behind the other and before this place in the file.
    fn lies_before(&self, end: u64) -> bool {
        let footer_end = self.footer_start.checked_add(self.footer_length as u64);
        self.start <= self.footer_start
            && self.footer_length <= LARGEST
            && footer_end.is_some_and(|footer_end| footer_end <= end)
    }

    /// Whether the footer is the one that the directory speaks of.
    fn is_of(&self, meta: &BlockMeta) -> bool {
        (self.signal, self.rows, self.oldest, self.newest)
            == (meta.signal, meta.rows, meta.oldest, meta.newest)
            && self.footer_start - self.start == meta.length() as u64
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
}

/// Writes blocks to a file, durably: when this returns the file is there whole, after a crash too.
pub(crate) fn write(
    path: &Path,
    blocks: impl IntoIterator<Item = (Vec<u8>, BlockMeta)>,
    replaces: &[String],
) -> Result<u64, StoreError> {
    let unfinished = path.with_extension("tmp");
    let written = write_to(&unfinished, blocks, replaces).and_then(|size| {
        std::fs::rename(&unfinished, path)
            .map_err(|error| StoreError::io("rename", path, error))?;
        sync_folder(path)?;
        Ok(size)
    });
    if written.is_err() {
        // What is left of it would only take room.
        std::fs::remove_file(&unfinished).ok();
    }
    written
}

fn write_to(
    path: &Path,
    blocks: impl IntoIterator<Item = (Vec<u8>, BlockMeta)>,
    replaces: &[String],
) -> Result<u64, StoreError> {
    let failed = |error| StoreError::io("write", path, error);
    let mut file = File::create(path).map_err(failed)?;
    let mut at = 0_u64;
    let mut entries = Vec::new();
    let mut count = 0_u64;
    for (bytes, meta) in blocks {
        let footer = meta.encode();
        file.write_all(&bytes).map_err(failed)?;
        file.write_all(&footer).map_err(failed)?;
        let footer_start = at + bytes.len() as u64;
        put(&mut entries, u64::from(meta.signal.code()));
        for number in [
            meta.rows as u64,
            meta.oldest,
            meta.newest,
            at,
            footer_start,
            footer.len() as u64,
        ] {
            put(&mut entries, number);
        }
        entries.extend_from_slice(&xxh3_64(&footer).to_le_bytes());
        at = footer_start + footer.len() as u64;
        count += 1;
    }
    let mut directory = Vec::new();
    put(&mut directory, count);
    directory.extend_from_slice(&entries);
    put(&mut directory, replaces.len() as u64);
    for name in replaces {
        put_bytes(&mut directory, name.as_bytes());
    }
    let directory = sealed(directory);
    file.write_all(&directory).map_err(failed)?;
    file.sync_data().map_err(failed)?;
    Ok(at + directory.len() as u64)
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
    path.parent().map_or(Ok(()), sync)
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
        let mut tail = [0; TAIL];
        file.read_exact_at(&mut tail, tail_start).map_err(failed)?;
        let mut tail = Cursor::new(&tail);
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
        let mut directory = vec![0; length];
        file.read_exact_at(&mut directory, start).map_err(failed)?;
        if xxh3_64(&directory) != checksum {
            return Err(damaged("the checksum of its directory differs"));
        }
        let (entries, replaces) =
            read_directory(&directory).map_err(|Malformed| damaged("its directory"))?;
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
        })
    }

    /// A block of the file; its footer is read the first time.
    pub(crate) fn block(&self, place: usize) -> Result<Block, StoreError> {
        let (entry, known) = &self.entries[place];
        if let Some(block) = known.get() {
            return Ok(block.clone());
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
        let meta = BlockMeta::decode(&footer)
            .ok()
            .filter(|meta| entry.is_of(meta))
            .ok_or_else(|| damaged("a footer"))?;
        let block = Block {
            meta: Arc::new(meta),
            source: Source::File {
                file: self.file.clone(),
                base: entry.start,
            },
            path: self.path.clone(),
        };
        Ok(known.get_or_init(|| block).clone())
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

fn read_directory(bytes: &[u8]) -> Result<(Vec<Entry>, Vec<String>), Malformed> {
    let mut cursor = Cursor::new(bytes);
    let mut entries = Vec::new();
    for _ in 0..cursor.count()? {
        entries.push(Entry {
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
        });
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
