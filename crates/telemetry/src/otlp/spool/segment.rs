//! One file of the spool, held by its lock.

use super::record::{self, Waiting};
use crate::signal::{Frame, Origin};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

/// One file of the spool. Its lock is held as long as this lives; a file with nothing left to send
/// is removed with it.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    path: PathBuf,
    destination: String,
    origin: Arc<Origin>,
    waiting: VecDeque<Waiting>,
    head: u64,
    size: u64,
    damaged: u64,
}

impl Segment {
    /// A new file.
    pub(super) fn create(
        (mut file, path): (File, PathBuf),
        destination: &str,
        origin: Arc<Origin>,
    ) -> io::Result<Self> {
        let head = record::head(destination, &origin);
        file.write_all(&head)?;
        Ok(Self {
            file,
            path,
            destination: destination.to_owned(),
            origin,
            waiting: VecDeque::new(),
            head: head.len() as u64,
            size: head.len() as u64,
            damaged: 0,
        })
    }

    /// A file that somebody left. `None` if it cannot be read; one without a good head is removed.
    pub(super) fn adopt(mut file: File, path: PathBuf) -> Option<Self> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        let Some(contents) = record::read(&bytes) else {
            fs::remove_file(&path).ok();
            if !bytes.is_empty() {
                tracing::warn!(path = %path.display(), "a file of kept telemetry is damaged and was removed");
            }
            return None;
        };
        let damaged = bytes.len() as u64 - contents.good;
        if damaged > 0 {
            // What is appended from now on must follow good records.
            file.set_len(contents.good).ok()?;
        }
        Some(Self {
            file,
            path,
            destination: contents.destination,
            origin: Arc::new(contents.origin),
            waiting: contents.waiting.into(),
            head: contents.head,
            size: contents.good,
            damaged,
        })
    }

    pub(super) fn destination(&self) -> &str {
        &self.destination
    }

    pub(super) fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// Bytes of the file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes at its end that could not be read.
    pub(super) fn damaged(&self) -> u64 {
        self.damaged
    }

    pub(super) fn waiting(&self) -> &VecDeque<Waiting> {
        &self.waiting
    }

    /// Appends items. On an error the file is as it was.
    pub(super) fn append(&mut self, frame: &Frame) -> io::Result<()> {
        let record = record::frame(frame.items, &frame.bytes);
        self.write(&record)?;
        let length = frame.bytes.len() as u64;
        self.waiting.push_back(Waiting {
            items: frame.items,
            at: self.size - length,
            length: u32::try_from(length).map_err(io::Error::other)?,
        });
        Ok(())
    }

    /// Reads waiting items and puts them behind the others.
    pub(super) fn read(&self, waiting: Waiting, to: &mut Vec<u8>) -> io::Result<()> {
        let from = to.len();
        to.resize(from + waiting.length as usize, 0);
        self.file.read_exact_at(&mut to[from..], waiting.at)
    }

    /// The first so many frames need not be kept any longer.
    pub(super) fn settle(&mut self, frames: usize) {
        let last = self.waiting.drain(..frames).next_back();
        if self.waiting.is_empty() {
            if self.file.set_len(self.head).is_ok() {
                self.size = self.head;
            }
        } else if let Some(last) = last {
            // If this fails, a later process may send them once more.
            self.write(&record::settled(last.end())).ok();
        }
    }

    fn write(&mut self, record: &[u8]) -> io::Result<()> {
        self.file.write_all(record).inspect_err(|_| {
            // A part of a record would make all behind it unreadable.
            self.file.set_len(self.size).ok();
        })?;
        self.size += record.len() as u64;
        Ok(())
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if self.waiting.is_empty() {
            fs::remove_file(&self.path).ok();
        }
    }
}
