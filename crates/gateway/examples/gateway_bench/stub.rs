//! A server that answers at once: 700 bytes, or a stream whose frames say when they were sent.

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, header};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Between two frames of a stream.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) async fn run(listener: TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let serving =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
        Handle::current().spawn(async move { drop(serving.await) });
    }
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<Either<Full<Bytes>, Frames>>, hyper::Error> {
    // How many frames a stream is to have.
    let frames = request.headers().get("x-frames");
    let frames = frames.and_then(|frames| frames.to_str().ok()?.parse().ok());
    request.into_body().collect().await?;
    let (kind, body) = match frames {
        None => ("application/json; charset=utf-8", Either::Left(whole())),
        Some(frames) => ("text/event-stream", Either::Right(Frames::new(frames))),
    };
    let mut response = Response::new(body);
    let kind = header::HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// An answer as llama-server writes it.
fn whole() -> Full<Bytes> {
    const TEXT: &str = "CUDA is a parallel computing platform and programming model made by NVIDIA \
        that lets software use the many cores of a graphics processor for general work.";
    Full::new(Bytes::from(format!(
        r#"{{"choices":[{{"finish_reason":"stop","index":0,"message":{{"role":"assistant","content":"{TEXT}"}}}}],"created":1763800000,"model":"stub","system_fingerprint":"b11434","object":"chat.completion","usage":{{"completion_tokens":33,"prompt_tokens":38,"total_tokens":71,"prompt_tokens_details":{{"cached_tokens":0}}}},"id":"chatcmpl-0123456789abcdefghijklmnopqrstuv","timings":{{"cache_n":0,"prompt_n":38,"prompt_ms":0.01,"prompt_per_token_ms":0.1,"prompt_per_second":1000.0,"predicted_n":33,"predicted_ms":0.01,"predicted_per_token_ms":0.1,"predicted_per_second":1000.0}}}}"#
    )))
}

/// A stream of frames; the first leaves at once.
pub(crate) struct Frames {
    left: u32,
    pace: Interval,
}

impl Frames {
    fn new(frames: u32) -> Self {
        let mut pace = interval(PAUSE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { left: frames, pace }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(left) = self.left.checked_sub(1) else {
            return Poll::Ready(None);
        };
        ready!(self.pace.poll_tick(context));
        self.left = left;
        let (reason, said) = if left == 0 {
            ("\"stop\"", "")
        } else {
            ("null", " token")
        };
        let event = format!(
            r#"data: {{"choices":[{{"finish_reason":{reason},"index":0,"delta":{{"content":"{said}"}}}}],"created":1763800000,"id":"chatcmpl-0123456789abcdefghijklmnopqrstuv","model":"stub","system_fingerprint":"b11434","object":"chat.completion.chunk","sent":{}}}"#,
            now()
        );
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(event + "\n\n")))))
    }
}

/// Nanoseconds by a clock that all processes share.
pub(crate) fn now() -> u128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_nanos()
}
