//! The part of a journal that was read so far, as blocks in memory.

use crate::StoreError;
use crate::block::{Block, Builders, Built, Packing, Signal, Source, read};
use crate::journal::JournalReader;
use crate::otlp::{self, Request};
use std::path::Path;
use std::sync::Arc;

/// So many blocks of like size are made one: a journal that is looked at often does not become ever
/// more small blocks, and each row is made part of a block only a few times.
const LIKE: usize = 8;

/// The part of a journal that was read so far, as blocks in memory.
#[derive(Debug)]
pub(crate) struct Tail {
    reader: JournalReader,
    blocks: [Vec<Block>; 3],
}

impl Tail {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            reader: JournalReader::open(path)?,
            blocks: Default::default(),
        })
    }

    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter().flatten()
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> u64 {
        self.reader.position()
    }

    /// Whether there is more behind what was read that is no frame cut short.
    pub(crate) fn is_damaged(&self) -> Result<bool, StoreError> {
        self.reader.is_damaged()
    }

    /// Makes blocks of what was written since the last look. Where that fails, what was read before
    /// is kept: it is not read again.
    pub(crate) fn read_on(&mut self, path: &Path) -> Result<(), StoreError> {
        let mut builders = Builders::new();
        let outcome = self.read_frames(path, &mut builders);
        for block in builders.finish(Packing::Memory) {
            self.push(block, path)?;
        }
        for signal in Signal::ALL {
            while self.merge(signal, path)? {}
        }
        outcome
    }

    fn read_frames(&mut self, path: &Path, builders: &mut Builders) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        while let Some((signal, payload)) = self.reader.next()? {
            match Request::decode(signal, &payload) {
                Ok(mut request) => request.feed(builders),
                // A writer takes no such request.
                Err(_not_ours) => {
                    outcome = Err(StoreError::Damaged {
                        what: "a request in a journal",
                        path: path.to_owned(),
                    });
                }
            }
            for full in builders.finish_full(Packing::Memory) {
                self.push(full, path)?;
            }
        }
        outcome
    }

    fn push(&mut self, block: std::io::Result<Built>, path: &Path) -> Result<(), StoreError> {
        let block = in_memory(block, path)?;
        self.blocks[block.meta.signal as usize].push(block);
        Ok(())
    }

    /// Makes the latest blocks one if there are many of like size; whether it did.
    fn merge(&mut self, signal: Signal, path: &Path) -> Result<bool, StoreError> {
        let blocks = &mut self.blocks[signal as usize];
        let size = |block: &Block| block.meta.rows.max(1).ilog2() / LIKE.ilog2();
        let Some(last) = blocks.last().map(size) else {
            return Ok(false);
        };
        let alike = blocks.iter().rev().take_while(|block| size(block) <= last);
        let count = alike.count();
        if count < LIKE {
            return Ok(false);
        }
        let mut builders = Builders::new();
        for block in &blocks[blocks.len() - count..] {
            let rows: Vec<u32> = (0..block.meta.rows as u32).collect();
            let mut request = otlp::gather(signal, read(block, &rows)?)
                .map_err(|broken| block.damaged(broken.0))?;
            request.feed(&mut builders);
        }
        let merged = builders
            .finish(Packing::Memory)
            .map(|block| in_memory(block, path))
            .collect::<Result<Vec<_>, _>>()?;
        // What does not fit one block stays several.
        let fewer = merged.len() < count;
        if fewer {
            blocks.truncate(blocks.len() - count);
            blocks.extend(merged);
        }
        Ok(fewer)
    }
}

fn in_memory(block: std::io::Result<Built>, path: &Path) -> Result<Block, StoreError> {
    let Built { bytes, meta, .. } = block.map_err(|error| StoreError::io("read", path, error))?;
    Ok(Block {
        meta: Arc::new(meta),
        source: Source::Memory(Arc::new(bytes)),
        path: path.into(),
    })
}
