//! The clients.

use crate::stub::now;
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Instant;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

type Sender = SendRequest<Full<Bytes>>;

/// Frames a second of one stream.
const RATE: u32 = 50;

async fn connect(address: SocketAddr) -> Result<Sender> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, driver) = handshake(TokioIo::new(stream)).await?;
    Handle::current().spawn(async move { drop(driver.await) });
    Ok(sender)
}

/// A request of about a kilobyte.
fn request(address: SocketAddr, frames: Option<u32>) -> Result<Request<Full<Bytes>>> {
    let text = "Explain CUDA in one sentence, please. ".repeat(24);
    let body = json!({
        "model": "stub", "messages": [{"role": "user", "content": text}],
        "max_tokens": 64, "temperature": 0.7, "stream": frames.is_some(),
    });
    let mut request = Request::post("/v1/chat/completions")
        .header(header::HOST, address.to_string())
        .header(header::USER_AGENT, "bench")
        .header(header::ACCEPT, "*/*")
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(frames) = frames {
        request = request.header("x-frames", frames);
    }
    Ok(request.body(Full::new(Bytes::from(body.to_string())))?)
}

/// Whole answers, each client one after the other.
pub(crate) async fn requests(address: SocketAddr, clients: u32, requests: u32) -> Result<Value> {
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for _ in 0..clients {
        tasks.spawn(async move {
            let mut sender = connect(address).await?;
            let mut took = Vec::new();
            let one = request(address, None)?;
            // What comes first pays for connections and caches.
            let warm = requests / 10;
            for number in 0..warm + requests {
                let began = Instant::now();
                sender.ready().await?;
                let response = sender.send_request(one.clone()).await?;
                ensure!(response.status() == 200, "{}", response.status());
                response.into_body().collect().await?;
                if number >= warm {
                    took.push(began.elapsed().as_secs_f64() * 1e6);
                }
            }
            anyhow::Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(one) = tasks.join_next().await {
        took.extend(one??);
    }
    let rate = took.len() as f64 / began.elapsed().as_secs_f64();
    let (p50, p99) = percentiles(&mut took);
    Ok(json!({"requests": took.len(), "p50": p50, "p99": p99, "per_second": rate}))
}

/// What one stream showed: time to its first frame, and of each further frame how much longer than
/// the server its client waited for it.
struct Stream {
    first: f64,
    gaps: Vec<f64>,
    whole: bool,
}

/// Streams side by side, all of the same length.
pub(crate) async fn streams(address: SocketAddr, clients: u32, seconds: u32) -> Result<Value> {
    let frames = seconds * RATE;
    let mut tasks = JoinSet::new();
    for _ in 0..clients {
        tasks.spawn(stream(address, frames));
    }
    let (mut first, mut gaps, mut broken) = (Vec::new(), Vec::new(), 0);
    while let Some(one) = tasks.join_next().await {
        match one? {
            Ok(stream) if stream.whole => {
                first.push(stream.first);
                gaps.extend(stream.gaps);
            }
            _ => broken += 1,
        }
    }
    let (first_p50, first_p99) = percentiles(&mut first);
    let (gap_p50, gap_p99) = percentiles(&mut gaps);
    Ok(json!({
        "streams": clients, "broken": broken, "frames": gaps.len() + first.len(),
        "first_p50": first_p50, "first_p99": first_p99, "gap_p50": gap_p50, "gap_p99": gap_p99,
    }))
}

async fn stream(address: SocketAddr, frames: u32) -> Result<Stream> {
    let mut sender = connect(address).await?;
    let request = request(address, Some(frames))?;
    let began = now();
    let response = sender.send_request(request).await?;
    ensure!(response.status() == 200, "{}", response.status());
    let mut body = response.into_body();
    let (mut first, mut gaps, mut seen) = (0.0, Vec::new(), 0);
    let mut before: Option<(u128, u128)> = None;
    let mut rest = Vec::new();
    while let Some(frame) = body.frame().await {
        let came = now();
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        rest.extend_from_slice(&data);
        while let Some(end) = rest.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = rest.drain(..end + 2).collect();
            let sent = sent(&event).context("a frame that does not say when it was sent")?;
            match before {
                None => first = micros(came, began),
                Some((sent_before, came_before)) => {
                    let (waited, paused) = (micros(came, came_before), micros(sent, sent_before));
                    gaps.push((waited - paused).abs());
                }
            }
            before = Some((sent, came));
            seen += 1;
        }
    }
    Ok(Stream {
        first,
        gaps,
        whole: seen == frames && rest.is_empty(),
    })
}

fn sent(event: &[u8]) -> Option<u128> {
    let text = std::str::from_utf8(event).ok()?;
    let (_, number) = text.trim_end().rsplit_once("\"sent\":")?;
    number.trim_end_matches('}').parse().ok()
}

/// Tokens a second of one answer of a real model.
pub(crate) async fn tokens(address: SocketAddr, tokens: u32) -> Result<Value> {
    let mut sender = connect(address).await?;
    let body = json!({
        "prompt": "Once upon a time", "n_predict": tokens, "stream": true, "ignore_eos": true,
        "temperature": 0, "cache_prompt": false,
    });
    let request = Request::post("/completion")
        .header(header::HOST, address.to_string())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))?;
    let mut body = sender.send_request(request).await?.into_body();
    let (mut first, mut last, mut events) = (None, Instant::now(), 0_u32);
    while let Some(frame) = body.frame().await {
        if frame?.is_data() {
            last = Instant::now();
            first.get_or_insert(last);
            events += 1;
        }
    }
    let first = first.context("no token came")?;
    let rate = f64::from(events.saturating_sub(1)) / (last - first).as_secs_f64();
    Ok(json!({"events": events, "per_second": rate}))
}

fn micros(later: u128, earlier: u128) -> f64 {
    let nanos = i128::try_from(later).unwrap_or(0) - i128::try_from(earlier).unwrap_or(0);
    nanos as f64 / 1e3
}

fn percentiles(values: &mut [f64]) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |hundredths: usize| {
        let index = values.len().saturating_sub(1) * hundredths / 100;
        values.get(index).copied().unwrap_or(f64::NAN)
    };
    (at(50), at(99))
}
