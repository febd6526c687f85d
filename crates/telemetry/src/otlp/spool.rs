//! What waits to be sent.

use super::signal::{Frame, Origin};
use std::collections::VecDeque;
use std::sync::Arc;

/// Frames of one signal in the order they came, bounded in bytes.
#[derive(Debug)]
pub(super) struct Spool {
    origin: Arc<Origin>,
    limit: usize,
    frames: VecDeque<Frame>,
    bytes: usize,
    items: u64,
}

/// Frames to be sent at once.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) origin: Arc<Origin>,
    pub(super) items: u64,
    pub(super) bytes: Vec<u8>,
    frames: usize,
}

impl Spool {
    pub(super) fn in_memory(origin: Origin, limit: usize) -> Self {
        Self {
            origin: Arc::new(origin),
            limit,
            frames: VecDeque::new(),
            bytes: 0,
            items: 0,
        }
    }

    /// Takes a frame; returns whether there was room.
    pub(super) fn push(&mut self, frame: Frame) -> bool {
        let room = self.bytes + frame.bytes.len() <= self.limit;
        if room {
            self.bytes += frame.bytes.len();
            self.items += u64::from(frame.items);
            self.frames.push_back(frame);
        }
        room
    }

    /// The items that wait.
    pub(super) fn items(&self) -> u64 {
        self.items
    }

    /// The oldest frames, of as many items as fit into one request, one frame at least.
    pub(super) fn batch(&self, most: usize) -> Option<Batch> {
        let mut batch = Batch {
            origin: self.origin.clone(),
            items: 0,
            bytes: Vec::new(),
            frames: 0,
        };
        for frame in &self.frames {
            let items = batch.items + u64::from(frame.items);
            if batch.frames > 0 && items > most as u64 {
                break;
            }
            batch.items = items;
            batch.bytes.extend_from_slice(&frame.bytes);
            batch.frames += 1;
        }
        (batch.frames > 0).then_some(batch)
    }

    /// The batch need not be kept any longer.
    pub(super) fn settle(&mut self, batch: &Batch) {
        for frame in self.frames.drain(..batch.frames) {
            self.bytes -= frame.bytes.len();
            self.items -= u64::from(frame.items);
        }
    }
}
