//! Blocks and rows of several files on their way into one.

use crate::StoreError;
use crate::block::{Block, BlockMeta, Builders, Built, Packing, read};
use crate::file::Writing;
use crate::journal::JournalReader;
use crate::otlp::{self, Request};
use std::path::{Path, PathBuf};

/// A block of at least so many rows is taken over as it is.
const FULL: usize = 4_096;

/// Blocks and rows of several files on their way into one.
pub(crate) struct Rewriting {
    path: PathBuf,
    builders: Builders,
    writing: Writing,
}

impl Rewriting {
    pub(crate) fn new(path: PathBuf) -> Result<Self, StoreError> {
        Ok(Self {
            writing: Writing::create(&path)?,
            path,
            builders: Builders::new(),
        })
    }

    /// All rows of a journal that nobody writes any more.
    pub(crate) fn journal(&mut self, path: &Path) -> Result<(), StoreError> {
        let mut reader = JournalReader::open(path)?;
        while let Some((signal, payload)) = reader.next()? {
            let mut request =
                Request::decode(signal, &payload).map_err(|_not_ours| StoreError::Damaged {
                    what: "a request in a journal",
                    path: path.to_owned(),
                })?;
            request.feed(&mut self.builders);
            self.close_full()?;
        }
        if reader.is_damaged()? {
            return Err(StoreError::Damaged {
                what: "a frame of a journal",
                path: path.to_owned(),
            });
        }
        Ok(())
    }

    /// A whole block; `traces` is the filter of its traces, if there is one already.
    pub(crate) fn block(
        &mut self,
        block: &Block,
        traces: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        if block.meta.rows < FULL {
            let rows: Vec<u32> = (0..block.meta.rows as u32).collect();
            return self.rows(block, &rows);
        }
        let bytes = block.all()?;
        let meta = BlockMeta {
            totals: Some(block.totals()?),
            ..BlockMeta::clone(&block.meta)
        };
        let traces = traces.map_or_else(|| block.trace_filter(), Ok)?;
        self.writing.push(Built {
            bytes,
            meta,
            traces,
        })
    }

    /// These rows of a block, which must rise.
    pub(crate) fn rows(&mut self, block: &Block, rows: &[u32]) -> Result<(), StoreError> {
        let mut request = otlp::gather(block.meta.signal, read(block, rows)?)
            .map_err(|broken| block.damaged(broken.0))?;
        request.feed(&mut self.builders);
        self.close_full()
    }

    fn close_full(&mut self) -> Result<(), StoreError> {
        for block in self.builders.finish_full(Packing::Disk) {
            let block = block.map_err(|error| StoreError::io("compress", &self.path, error))?;
            self.writing.push(block)?;
        }
        Ok(())
    }

    /// Puts the file in place, unless it would hold no rows; whether it did.
    pub(crate) fn finish(mut self, replaces: &[String]) -> Result<bool, StoreError> {
        for block in self.builders.finish(Packing::Disk) {
            let block = block.map_err(|error| StoreError::io("compress", &self.path, error))?;
            self.writing.push(block)?;
        }
        if self.writing.is_empty() {
            return Ok(false);
        }
        self.writing.finish(replaces)?;
        Ok(true)
    }
}
