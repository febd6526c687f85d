//! From a body to the store: within limits, and answered once it is on the disk.

use super::failure::Failure;
use crate::stored::Stored;
use axum::body::Body;
use bytes::Buf as _;
use http::StatusCode;
use http_body_util::BodyExt as _;
use llamatelemetry_store::{Signal, StoreError};
use llamatelemetry_telemetry::received::{
    self, Code, Compression, Encoding, Limits, Received, Rejected,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// Memory is counted in pieces of this many bytes.
const PIECE: usize = 1 << 10;
/// Memory for all requests at once, as a multiple of the longest.
const AT_ONCE: usize = 4;
/// Memory that the messages of one request may take, as a multiple of the longest.
const RICHEST: usize = 16;
/// How long a request waits for memory before it is sent away.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(60);

/// What a request says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) signal: Signal,
    pub(super) encoding: Encoding,
}

/// Takes requests into the store.
#[derive(Debug)]
pub(super) struct Intake {
    stored: Arc<Stored>,
    limits: Limits,
    /// Memory that is free, in pieces, and how much there is.
    memory: Arc<Semaphore>,
    pieces: usize,
    /// Requests that are read at once: as many as there are processors.
    turns: Arc<Semaphore>,
    /// Whether the last write failed, so that it is logged once.
    failing: AtomicBool,
}

/// A body that came, and the memory that it has.
#[derive(Debug)]
pub(super) struct Gathered<const HEAD: usize> {
    /// Its first bytes.
    pub(super) head: [u8; HEAD],
    /// Those after them.
    pub(super) bytes: Vec<u8>,
    held: Held,
}

/// Memory that a request has, until it is stored.
#[derive(Debug)]
struct Held {
    permit: OwnedSemaphorePermit,
    memory: Arc<Semaphore>,
    /// Bytes that were asked for.
    asked: usize,
    most: usize,
}

impl Held {
    /// Pieces that are missing for so many bytes more. Whoever has all of them needs no more: one
    /// request can be larger than what is set aside for all, alone.
    fn missing(&mut self, more: usize) -> u32 {
        self.asked = self.asked.saturating_add(more);
        let wanted = self.asked.div_ceil(PIECE).min(self.most);
        u32::try_from(wanted.saturating_sub(self.permit.num_permits())).unwrap_or(u32::MAX)
    }

    async fn grow(&mut self, more: usize) -> Result<(), Failure> {
        let missing = self.missing(more);
        let wanted = self.memory.clone().acquire_many_owned(missing);
        match timeout(PATIENCE, wanted).await {
            Ok(Ok(permit)) => {
                self.permit.merge(permit);
                Ok(())
            }
            _ => Err(Failure::busy()),
        }
    }

    /// The same at once or not at all.
    fn try_grow(&mut self, more: usize) -> bool {
        let missing = self.missing(more);
        let permit = self.memory.clone().try_acquire_many_owned(missing);
        permit.map(|permit| self.permit.merge(permit)).is_ok()
    }
}

impl Intake {
    /// For bodies of at most so many bytes, unpacked.
    pub(super) fn new(stored: Arc<Stored>, limit: usize) -> Self {
        let pieces = (limit * AT_ONCE).div_ceil(PIECE).max(1);
        let processors = available_parallelism().map_or(2, usize::from);
        Self {
            stored,
            limits: Limits {
                bytes: limit,
                memory: limit.saturating_mul(RICHEST),
            },
            memory: Arc::new(Semaphore::new(pieces)),
            pieces,
            turns: Arc::new(Semaphore::new(processors)),
            failing: AtomicBool::new(false),
        }
    }

    /// Bytes that a body may have, unpacked.
    pub(super) fn limit(&self) -> usize {
        self.limits.bytes
    }

    /// Reads a body whose length, where it is said, is this.
    pub(super) async fn gather<const HEAD: usize>(
        &self,
        body: Body,
        length: Option<usize>,
    ) -> Result<Gathered<HEAD>, Failure> {
        match timeout(BODY_TIME, self.gather_in_time(body, length)).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(Failure::new(
                StatusCode::REQUEST_TIMEOUT,
                Code::InvalidArgument,
                "the body took too long to come",
            )),
        }
    }

    async fn gather_in_time<const HEAD: usize>(
        &self,
        mut body: Body,
        length: Option<usize>,
    ) -> Result<Gathered<HEAD>, Failure> {
        let limit = self.limits.bytes;
        let length = length.map(|length| length.saturating_sub(HEAD));
        if length.is_some_and(|length| length > limit) {
            return Err(Failure::too_large(limit));
        }
        let mut gathered = Gathered {
            head: [0; HEAD],
            bytes: Vec::new(),
            held: self.held()?,
        };
        let mut headless = HEAD;
        while let Some(frame) = body.frame().await {
            let frame = frame
                .map_err(|error| Failure::malformed(format!("the body broke off: {error}")))?;
            let Ok(mut data) = frame.into_data() else {
                continue;
            };
            let at = HEAD - headless;
            let first = headless.min(data.len());
            data.copy_to_slice(&mut gathered.head[at..at + first]);
            headless -= first;
            if gathered.bytes.len() + data.len() > limit {
                return Err(Failure::too_large(limit));
            }
            // What has come, not what was announced: whoever is slow holds little.
            gathered.held.grow(data.len()).await?;
            gathered.bytes.extend_from_slice(&data);
        }
        if headless > 0 {
            return Err(Failure::malformed("the body is cut short"));
        }
        Ok(gathered)
    }

    fn held(&self) -> Result<Held, Failure> {
        let memory = self.memory.clone();
        let permit = memory.clone().try_acquire_many_owned(0);
        Ok(Held {
            permit: permit.map_err(|_closed| Failure::busy())?,
            memory,
            asked: 0,
            most: self.pieces,
        })
    }

    /// Stores what came and says, once it is on the disk, what of it was left out.
    pub(super) async fn store<const HEAD: usize>(
        self: &Arc<Self>,
        sent: Sent,
        compression: Compression,
        gathered: Gathered<HEAD>,
    ) -> Result<Rejected, Failure> {
        let turn = self.turns.clone().acquire_owned().await;
        let intake = self.clone();
        let work = Handle::current().spawn_blocking(move || {
            let _turn = turn;
            intake.submit(sent, compression, gathered)
        });
        let submitted = work
            .await
            .map_err(|_panicked| Failure::unavailable("the request could not be read", PATIENCE))?;
        let (rejected, told) = submitted?;
        let outcome = told.await.unwrap_or_else(|_gone| {
            Err(StoreError::Closed {
                reason: "its thread has ended".to_owned(),
            })
        });
        self.watch(&outcome);
        outcome?;
        Ok(rejected)
    }

    /// What blocks: unpacking, checking, opening the store.
    fn submit<const HEAD: usize>(
        &self,
        sent: Sent,
        compression: Compression,
        gathered: Gathered<HEAD>,
    ) -> Result<(Rejected, oneshot::Receiver<Result<(), StoreError>>), Failure> {
        let Gathered {
            bytes, mut held, ..
        } = gathered;
        let Received { payload, rejected } = received::read(
            sent.signal,
            sent.encoding,
            compression,
            bytes,
            self.limits,
            &mut |more| held.try_grow(more),
        )?;
        let (tell, told) = oneshot::channel();
        if payload.is_empty() {
            // Nothing to keep: some ask so whether somebody listens.
            tell.send(Ok(())).ok();
            return Ok((rejected, told));
        }
        let length = payload.len() as u64;
        let submitted = self.stored.writer().and_then(|writer| {
            writer.submit(sent.signal, payload, move |outcome| {
                drop(held);
                // Whoever asked may be gone.
                tell.send(outcome).ok();
            })
        });
        if submitted.is_err() {
            self.watch(&submitted);
        }
        submitted?;
        self.stored.appended(length);
        Ok((rejected, told))
    }

    /// Logs when writing begins to fail and when it works again.
    fn watch(&self, outcome: &Result<(), StoreError>) {
        match outcome {
            Ok(()) => {
                if self.failing.swap(false, Ordering::AcqRel) {
                    tracing::info!("what is received is stored again");
                }
            }
            Err(error) if error.is_of_request() => {}
            Err(error) => {
                if matches!(error, StoreError::Closed { .. }) {
                    self.stored.close();
                }
                if !self.failing.swap(true, Ordering::AcqRel) {
                    tracing::warn!(%error, "what is received cannot be stored");
                }
            }
        }
    }
}
