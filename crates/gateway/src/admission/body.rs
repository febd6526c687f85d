//! Reading a request's body: within its own limit, within that of all bodies together, and only as
//! long as it keeps coming.

use crate::refusal::Refusal;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A client whose body found no room may ask again then: others' bodies live as long as their
/// requests.
const ROOM_PAUSE: Duration = Duration::from_secs(2);

/// What bodies may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    /// Bytes of one.
    pub(super) one: u64,
    /// Bytes of all.
    pub(super) all: u64,
    /// How long one may pause.
    pub(super) patience: Duration,
}

/// The bytes of all bodies that are held.
#[derive(Debug, Default)]
pub(super) struct Held(AtomicU64);

/// A part of them. Dropping it gives them back.
#[derive(Debug)]
struct Weight {
    held: Arc<Held>,
    bytes: u64,
}

/// A body that weighs as long as anybody has it.
struct Weighed {
    bytes: Bytes,
    _weight: Weight,
}

impl AsRef<[u8]> for Weighed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Weight {
    fn add(&mut self, bytes: u64, limit: u64) -> Result<(), Refusal> {
        let before = self.held.0.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        // One body alone is judged by its own limit.
        if before + bytes > limit && before + bytes > self.bytes {
            return Err(Refusal {
                retry_after: Some(ROOM_PAUSE),
                ..Refusal::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "overloaded_error",
                    "the requests in flight leave no room for this body",
                )
            });
        }
        Ok(())
    }
}

impl Held {
    /// Bytes that are held now.
    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Reads a body to its end. What comes back counts as held until its last clone is dropped.
pub(super) async fn read(
    mut body: Body,
    limits: BodyLimits,
    held: &Arc<Held>,
    deadline: Instant,
) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > limits.one {
        return Err(too_large(limits.one));
    }
    let mut weight = Weight {
        held: held.clone(),
        bytes: 0,
    };
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while !body.is_end_stream() {
        // The timer is made only for what is not here yet, which most bodies are.
        let frame = {
            let mut next = std::pin::pin!(body.frame());
            if let Some(frame) = at_once(next.as_mut()).await {
                frame
            } else {
                let until = deadline.min(Instant::now() + limits.patience);
                tokio::time::timeout_at(until.into(), next)
                    .await
                    .map_err(|_elapsed| too_slow())?
            }
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                "invalid_request_error",
                format!("the body broke off: {error}"),
            )
        })?;
        // Trailers say nothing that a request needs.
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        weight.add(piece.len() as u64, limits.all)?;
        if weight.bytes > limits.one {
            return Err(too_large(limits.one));
        }
        // A body that came in one piece is not copied.
        if first.is_empty() && all.is_empty() {
            first = piece;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&piece);
    }
    if weight.bytes == 0 {
        return Ok(Bytes::new());
    }
    let bytes = if all.is_empty() { first } else { all.freeze() };
    Ok(Bytes::from_owner(Weighed {
        bytes,
        _weight: weight,
    }))
}

/// What a future gives at once, if it does.
async fn at_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

fn too_large(limit: u64) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "payload_too_large",
        format!("the body has more than {limit} bytes (serve.body_limit)"),
    )
}

fn too_slow() -> Refusal {
    Refusal::new(
        StatusCode::REQUEST_TIMEOUT,
        "timeout_error",
        "the body did not come in time",
    )
}
