//! The chunks of a block, one behind the other.

use super::column::encode_numbers;
use super::layout::{Chunk, ColumnMeta, PAGE, PiecePage};
use super::strings::Interner;
use crate::codec::put_bytes;
use xxhash_rust::xxh3::xxh3_64;

/// Effort of compression. Above it the time grows faster than the gain.
const LEVEL: i32 = 3;

/// Whether it is worth it to make a block small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// It is written and stays.
    Disk,
    /// It is read a few times and forgotten.
    Memory,
}

/// The block's bytes so far.
pub(super) struct Output {
    pub(super) bytes: Vec<u8>,
    /// `None` where nothing is packed.
    packer: Option<zstd::bulk::Compressor<'static>>,
}

impl Output {
    pub(super) fn new(packing: Packing) -> std::io::Result<Self> {
        let packer = match packing {
            Packing::Disk => Some(zstd::bulk::Compressor::new(LEVEL)?),
            Packing::Memory => None,
        };
        Ok(Self {
            bytes: Vec::new(),
            packer,
        })
    }

    pub(super) fn column(
        &mut self,
        values: &[u64],
        entries: Option<&Interner>,
    ) -> std::io::Result<ColumnMeta> {
        let dictionary = match entries {
            None => None,
            Some(entries) => Some((self.packed(entries.bytes())?, entries.len())),
        };
        Ok(ColumnMeta {
            count: values.len(),
            values: self.numbers(values)?,
            smallest: values.iter().copied().min().unwrap_or(0),
            largest: values.iter().copied().max().unwrap_or(0),
            dictionary,
        })
    }

    pub(super) fn numbers(&mut self, values: &[u64]) -> std::io::Result<Chunk> {
        let mut bytes = Vec::new();
        encode_numbers(values, &mut bytes);
        self.packed(&bytes)
    }

    pub(super) fn pages(&mut self, pieces: &Interner) -> std::io::Result<Vec<PiecePage>> {
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
    pub(super) fn packed(&mut self, bytes: &[u8]) -> std::io::Result<Chunk> {
        let packed = match &mut self.packer {
            Some(packer) => packer.compress(bytes)?,
            None => return Ok(self.raw(bytes)),
        };
        if packed.len() >= bytes.len() {
            return Ok(self.raw(bytes));
        }
        let chunk = self.raw(&packed);
        Ok(Chunk {
            unpacked: bytes.len(),
            ..chunk
        })
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> Chunk {
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
