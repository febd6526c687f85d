//! The stream of events: requests, log lines, samples of the machine, as they come.

use super::feed::Event;
use super::problem::Problem;
use crate::Shared;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http_body_util::channel::{Channel, Sender};
use llamatelemetry_record::LiveRequest;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{MissedTickBehavior, interval};

/// Listeners at once.
const LISTENERS: usize = 64;
/// Pieces that wait for a slow listener; behind them events wait in the feed, and then are missed.
const WAITING: usize = 16;
/// How often running requests are looked at for their first token.
const LOOK: Duration = Duration::from_millis(100);
/// How often the machine is told.
const SAMPLE: Duration = Duration::from_secs(1);
/// How often a silent stream says that it is there, so that whoever is gone is noticed.
const ALIVE: Duration = Duration::from_secs(15);

static SEATS: Semaphore = Semaphore::const_new(LISTENERS);

pub(super) async fn events(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let full = || Problem::busy("too many listen already");
    let seat = SEATS.try_acquire().map_err(|_full| full())?;
    let events = shared.feed.listen();
    let events = events.ok_or_else(|| Problem::unavailable("the server ends"))?;
    let (out, body) = Channel::new(WAITING);
    let stream = Stream {
        shared,
        out,
        told: Instant::now(),
        sampled: None,
        first_tokens: BTreeSet::new(),
        _seat: seat,
    };
    Handle::current().spawn(stream.run(events));
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// One listener's stream.
struct Stream {
    shared: Arc<Shared>,
    out: Sender<Bytes>,
    /// When something was sent last.
    told: Instant,
    /// When the machine was told last.
    sampled: Option<Instant>,
    /// Running requests whose first token was told.
    first_tokens: BTreeSet<[u8; 8]>,
    _seat: SemaphorePermit<'static>,
}

/// The listener is gone.
struct Gone;

impl Stream {
    /// Until the listener or the feed ends.
    async fn run(mut self, mut events: Receiver<Event>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let sent = tokio::select! {
                event = events.recv() => match event {
                    Ok(Event { name, json }) => self.send(name, &json).await,
                    Err(RecvError::Lagged(missed)) => {
                        self.send("lagged", &json!({ "missed": missed }).to_string()).await
                    }
                    Err(RecvError::Closed) => return,
                },
                _ = looks.tick() => self.look().await,
            };
            if sent.is_err() {
                return;
            }
        }
    }

    async fn look(&mut self) -> Result<(), Gone> {
        let live = self.shared.feed.live();
        let ids: BTreeSet<[u8; 8]> = live.iter().map(|live| live.span_id.0).collect();
        self.first_tokens.retain(|id| ids.contains(id));
        for live in live {
            if let Some(told) = self.first_token(&live) {
                self.send("first_token", &told).await?;
            }
        }
        if self.sampled.is_none_or(|at| at.elapsed() >= SAMPLE) {
            self.sampled = Some(Instant::now());
            let telemetry = self.shared.telemetry.as_ref();
            let sample = telemetry.and_then(|telemetry| telemetry.machine());
            if let Some(sample) = sample {
                self.send("sample", &json!(*sample).to_string()).await?;
            }
        }
        if self.told.elapsed() >= ALIVE {
            return self.write(": still here\n\n".to_owned()).await;
        }
        Ok(())
    }

    fn first_token(&mut self, live: &LiveRequest) -> Option<String> {
        let first = live.progress().first_delta?;
        let new = self.first_tokens.insert(live.span_id.0);
        new.then(|| {
            json!({
                "trace_id": live.trace_id,
                "span_id": live.span_id,
                "ttft_seconds": first.saturating_duration_since(live.sent).as_secs_f64(),
            })
            .to_string()
        })
    }

    async fn send(&mut self, name: &str, json: &str) -> Result<(), Gone> {
        self.write(format!("event: {name}\ndata: {json}\n\n")).await
    }

    async fn write(&mut self, text: String) -> Result<(), Gone> {
        self.told = Instant::now();
        self.out
            .send_data(text.into())
            .await
            .map_err(|_closed| Gone)
    }
}
