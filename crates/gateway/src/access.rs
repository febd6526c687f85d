//! A line for each request: who asked what, what came of it, how long it took. One event, whose
//! fields are for programs. It never tells a key, a query or a word of what was said.

use crate::Shared;
use crate::guard::Principal;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, header};
use http_body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Whether lines are written.
#[derive(Debug)]
pub(crate) struct AccessLog(AtomicBool);

impl AccessLog {
    pub(crate) fn new(on: bool) -> Self {
        Self(AtomicBool::new(on))
    }

    pub(crate) fn set(&self, on: bool) {
        self.0.store(on, Ordering::Relaxed);
    }
}

/// Writes the line of a request once its answer has gone, or broken off.
pub(crate) async fn log(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    if !shared.access_log.0.load(Ordering::Relaxed) {
        return next.run(request).await;
    }
    let mut line = Line {
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        begun: Instant::now(),
        taken: request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok()),
        key: None,
        trace: None,
        status: 0,
        first: None,
        given: 0,
        whole: false,
    };
    let response = next.run(request).await;
    line.status = response.status().as_u16();
    line.first = Some(line.begun.elapsed());
    line.key = response
        .extensions()
        .get::<Principal>()
        .and_then(|principal| Some(principal.key()?.name.clone()));
    line.trace = trace_id(response.headers());
    response.map(|body| {
        line.whole = body.is_end_stream();
        Body::new(Counted { body, line })
    })
}

/// The trace that a request belongs to, else the id that it goes by.
fn trace_id(headers: &HeaderMap) -> Option<String> {
    let parent = headers.get(TRACEPARENT).and_then(|parent| {
        let mut parts = parent.to_str().ok()?.split('-');
        parts.nth(1)
    });
    let id = || headers.get(REQUEST_ID)?.to_str().ok();
    parent.or_else(id).map(str::to_owned)
}

struct Line {
    method: Method,
    path: String,
    begun: Instant,
    /// Bytes of the request's body, where its head says so.
    taken: Option<u64>,
    key: Option<String>,
    trace: Option<String>,
    status: u16,
    /// Until the answer's head.
    first: Option<Duration>,
    given: u64,
    whole: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        let milliseconds = |time: Duration| time.as_micros() as f64 / 1e3;
        tracing::info!(
            target: "llamatelemetry_gateway::access",
            method = self.method.as_str(),
            path = self.path,
            status = self.status,
            request_bytes = self.taken,
            response_bytes = self.given,
            head_ms = self.first.map(milliseconds),
            total_ms = milliseconds(self.begun.elapsed()),
            whole = self.whole,
            key = self.key,
            trace_id = self.trace,
            "request"
        );
    }
}

/// An answer's body whose bytes are counted on their way.
struct Counted {
    body: Body,
    line: Line,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.line.given += bytes as u64;
                self.line.whole = self.body.is_end_stream();
            }
            Poll::Ready(None) => self.line.whole = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
