//! One recorded exchange, watched as its answer passes by.

use super::content::Output;
use super::headers;
use super::timing::Timings;
use crate::admission::Permit;
use llamatelemetry::server::Exit;
use llamatelemetry::{ApiError, End, Exchange};
use llamatelemetry_api::ServerComplaint;
use llamatelemetry_api::transport::Sent;
use llamatelemetry_record::{
    Delivery, Endpoint, Failure, FinishReason, Message, Observed, PhaseClock, StreamScanner,
};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// On a busy machine the server's log line lags behind the answer it belongs to; the record waits
/// for it so long before the slot stays unknown. The answer does not wait.
const LAUNCH_LINE_PATIENCE: Duration = Duration::from_millis(50);
/// After its client went away a slot is free within a token or a batch; the record waits for it so
/// long.
const RELEASE_PATIENCE: Duration = Duration::from_secs(3);

/// How streams in OpenAI's form end, after the event that says why they do.
const CLOSING: &[u8; 8] = b"[DONE]\n\n";

/// The same in Anthropic's: `{"type":"message_stop"}`.
const STOPPING: &[u8; 8] = b"stop\"}\n\n";

/// One recorded exchange. Dropped before the answer's end, it leaves the record of a request whose
/// client went away.
pub(super) struct Watch {
    /// `None` once the record is left to somebody else.
    open: Option<Open>,
    delivery: Delivery,
    status: u16,
    /// The last bytes that passed by.
    tail: [u8; CLOSING.len()],
}

struct Open {
    exchange: Exchange,
    scanner: StreamScanner,
    /// What the answer says, if that is to be kept.
    output: Option<Output>,
    /// Given back when the answer has ended, or nobody waits for it any more.
    permit: Permit,
}

impl Watch {
    /// The answer's head is here.
    pub(super) fn new(
        mut exchange: Exchange,
        permit: Permit,
        clock: PhaseClock,
        sent: &Sent,
    ) -> Self {
        let head = &sent.response;
        let delivery = headers::delivery(head.headers());
        let status = head.status().as_u16();
        let endpoint = exchange.endpoint();
        let mut scanner = StreamScanner::new(endpoint, clock);
        scanner.headers(status, delivery, Instant::now());
        let streamed = delivery == Delivery::Streamed;
        exchange.opened(scanner.clock(), streamed, sent.resends);
        let output = exchange.captures_content();
        Self {
            open: Some(Open {
                exchange,
                scanner,
                output: output.then(|| Output::new(endpoint, delivery)),
                permit,
            }),
            delivery,
            status,
            tail: [0; CLOSING.len()],
        }
    }

    /// What is known when the answer begins to stream.
    pub(super) fn begun(&self) -> Timings {
        let clock = self.open.as_ref().map(|open| open.scanner.clock());
        let queue = clock.and_then(|clock| Some(clock.headers_at()? - clock.sent()));
        Timings::queue(queue)
    }

    /// A piece of the body passes by. Returns how many deltas it brought.
    pub(super) fn piece(&mut self, bytes: &[u8]) -> u64 {
        let Some(open) = &mut self.open else { return 0 };
        for byte in &bytes[bytes.len().saturating_sub(CLOSING.len())..] {
            self.tail.rotate_left(1);
            self.tail[CLOSING.len() - 1] = *byte;
        }
        let before = open.scanner.deltas();
        open.scanner.push(bytes, Instant::now());
        if let Some(output) = &mut open.output {
            output.push(bytes);
        }
        let came = open.scanner.deltas() - before;
        for _ in 0..came {
            open.exchange.delta(open.scanner.clock());
        }
        came
    }

    /// The body came to its end: leaves the record and says where the time went.
    pub(super) fn ended(&mut self) -> Timings {
        let Some(open) = self.open.take() else {
            return Timings::default();
        };
        let (exchange, observed, output) = open.close();
        let timings = Timings::all(&observed.phases);
        let failure = self.failure(&exchange, &observed);
        let end = End {
            observed,
            failure,
            exit: None,
            output,
        };
        Ended(Some((exchange, end))).leave();
        timings
    }

    /// Whether the stream has told its end.
    pub(super) fn said_all(&self) -> bool {
        let open = self.open.as_ref();
        open.is_some_and(|open| {
            let endpoint = open.exchange.endpoint();
            let closed = match endpoint {
                Endpoint::ChatCompletions | Endpoint::Completions => self.tail == *CLOSING,
                Endpoint::Messages => self.tail == *STOPPING,
                _ => true,
            };
            closed && open.scanner.finished()
        })
    }

    /// The request is to be sent again: its record goes on. `None` if it was left.
    pub(super) fn reopen(mut self) -> Option<(Exchange, Permit)> {
        let open = self.open.take()?;
        Some((open.exchange, open.permit))
    }

    /// The connection to the server broke: leaves the record and says how the server ended, if it
    /// did.
    pub(super) async fn broke(mut self, error: ApiError) -> Option<Exit> {
        let (mut exchange, observed, output) = self.open.take()?.close();
        exchange.fail(&error, observed, output).await
    }

    /// What a whole body, or a body without its end, says of failure.
    fn failure(&self, exchange: &Exchange, observed: &Observed) -> Option<Failure> {
        let path = exchange.endpoint().path();
        if let Some(said) = &observed.error {
            return Some(exchange.failure(&ApiError::Refused {
                path: path.into(),
                status: self.status,
                complaint: ServerComplaint {
                    kind: Some(said.kind.clone()),
                    message: said.message.clone(),
                    body: String::new(),
                },
            }));
        }
        let unfinished = self.delivery == Delivery::Streamed && !observed.complete;
        unfinished.then(|| {
            exchange.failure(&ApiError::Broken {
                path: path.into(),
                source: None,
            })
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        let (exchange, mut observed, output) = open.close();
        observed.finish_reason = Some(FinishReason::Cancelled);
        let end = End {
            observed,
            failure: None,
            exit: None,
            output,
        };
        Ended(Some((exchange, end))).leave_once_released();
    }
}

impl Open {
    fn close(mut self) -> (Exchange, Observed, Option<Message>) {
        let mut exchange = self.exchange;
        exchange.clock(self.scanner.clock());
        let observed = self.scanner.finish(Instant::now());
        let usage = &observed.usage;
        if let Some(prompt) = usage.prompt_tokens {
            let answer = usage.completion_tokens.unwrap_or_default();
            self.permit.used(prompt.saturating_add(answer));
        }
        (exchange, observed, self.output.and_then(Output::message))
    }
}

/// A finished exchange whose record may still wait for a log line. Dropped, it is left as it is.
struct Ended(Option<(Exchange, End)>);

impl Ended {
    fn leave(self) {
        let Some((exchange, end)) = &self.0 else {
            return;
        };
        if end.observed.slot.is_some() || exchange.knows_slot() {
            return;
        }
        self.wait(Awaited::Slot);
    }

    /// The client has gone: what the server still did for it belongs to the record.
    fn leave_once_released(self) {
        self.wait(Awaited::Release);
    }

    /// Waits beside everything else. Where nothing runs any more, nothing is waited for.
    fn wait(self, awaited: Awaited) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            if let Some((exchange, _)) = &self.0 {
                match awaited {
                    Awaited::Slot => exchange.await_slot(LAUNCH_LINE_PATIENCE).await,
                    Awaited::Release => exchange.await_release(RELEASE_PATIENCE).await,
                }
            }
        });
    }
}

/// What a record may still wait for.
#[derive(Debug, Clone, Copy)]
enum Awaited {
    Slot,
    Release,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some((mut exchange, end)) = self.0.take() {
            exchange.end(end);
        }
    }
}
