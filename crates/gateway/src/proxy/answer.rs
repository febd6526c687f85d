//! An answer's body on its way to the client.

use super::refuse;
use super::replay::{Again, Promised, Replay};
use super::seat::{Lost, Seat};
use super::timing::{SERVER_TIMING, Timings};
use super::torn::Torn;
use super::watch::Watch;
use crate::admission::Permit;
use crate::refusal::{Dialect, Refusal};
use bytes::Bytes;
use http::response::Parts;
use http::{HeaderMap, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use llamatelemetry::ApiError;
use llamatelemetry::server::Exit;
use llamatelemetry_api::transport::{Connection, Pool};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// An answer's body. Pieces are handed on as they come and as fast as the client takes them, so
/// that a slow client slows its server and fills no memory. Dropping it closes the connection to
/// the server, which frees the slot.
pub(super) struct Answer {
    state: State,
    /// Pieces that are here and not yet taken.
    ready: VecDeque<Frame<Bytes>>,
    watch: Option<Watch>,
    /// That of a request which leaves no record; else the watch has it.
    permit: Option<Permit>,
    dialect: Dialect,
    path: String,
    /// Holds the piece of an event whose rest is not here yet; only of a stream of events.
    torn: Option<Torn>,
    /// Whether the client wants to know at the end where the time went.
    trailer: bool,
    /// How to ask again; `None` once that is done or something was passed on.
    replay: Option<Box<(Replay, Promised)>>,
    /// Nothing is passed on before the end.
    held: bool,
    /// The head of the answer to the request that was sent again.
    head: Option<Parts>,
}

/// What still comes from the server.
enum State {
    Passing(Box<Upstream>),
    /// It broke; the request is being sent again.
    Replaying(
        Pin<Box<dyn Future<Output = Result<Again, Refusal>> + Send>>,
        Promised,
        Option<hyper::Error>,
    ),
    /// It broke; the reason is being looked for.
    Breaking(
        Pin<Box<dyn Future<Output = Option<Exit>> + Send>>,
        Option<hyper::Error>,
    ),
    Over,
}

struct Upstream {
    body: Incoming,
    connection: Connection,
    pool: Arc<Pool>,
    /// Ends once the server has lost the request; `None` after that.
    lost: Option<Lost>,
    seat: Seat,
}

impl Upstream {
    fn new(body: Incoming, connection: Connection, seat: Seat) -> Self {
        Self {
            body,
            connection,
            pool: seat.client().pool().clone(),
            lost: Some(seat.lost()),
            seat,
        }
    }

    /// The next piece. The connection of a request that was lost is cut, so that its body breaks
    /// off like any other; what is here already comes before.
    fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let piece = Pin::new(&mut self.body).poll_frame(context);
        if piece.is_pending()
            && let Some(lost) = &mut self.lost
            && lost.as_mut().poll(context).is_ready()
        {
            self.lost = None;
            self.connection.cut();
        }
        piece
    }
}

impl Answer {
    pub(super) fn new(
        body: Incoming,
        connection: Connection,
        seat: Seat,
        (watch, permit): (Option<Watch>, Option<Permit>),
        (dialect, path): (Dialect, String),
        streamed: bool,
        replay: Option<(Replay, Promised)>,
    ) -> Self {
        let mut answer = Self {
            state: State::Passing(Box::new(Upstream::new(body, connection, seat))),
            ready: VecDeque::new(),
            watch,
            permit,
            dialect,
            path,
            torn: streamed.then(Torn::default),
            trailer: false,
            replay: replay.map(Box::new),
            held: false,
            head: None,
        };
        answer.look_for_end();
        answer
    }

    /// Announces that the times follow the body.
    pub(super) fn add_trailer(&mut self, headers: &mut HeaderMap) {
        self.trailer = true;
        headers.append(header::TRAILER, SERVER_TIMING.into());
    }

    /// Reads the whole answer, and says where the time went. Until then nothing was passed on, so
    /// that a server that dies meanwhile still makes an honest refusal.
    pub(super) async fn hold(&mut self) -> Result<Timings, Refusal> {
        self.held = true;
        let timings = loop {
            match poll_fn(|context| self.poll_upstream(context)).await {
                Step::More => {}
                Step::Ended(timings) => break timings,
                Step::Broken(exit, _) => return Err(refusal(exit, &self.path)),
                Step::Refused(refusal, _) => return Err(refusal),
            }
        };
        Ok(timings)
    }

    /// The head of the answer, where it is another than that of the first attempt.
    pub(super) fn other_head(&mut self) -> Option<Parts> {
        self.head.take()
    }

    /// Takes the next piece from the server.
    fn poll_upstream(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        match &mut self.state {
            State::Over => Poll::Ready(Step::Ended(Timings::default())),
            State::Replaying(sending, ..) => {
                let again = ready!(sending.as_mut().poll(context));
                let State::Replaying(_, promised, error) =
                    mem::replace(&mut self.state, State::Over)
                else {
                    return Poll::Ready(Step::More);
                };
                Poll::Ready(match again {
                    Ok(again) => self.go_on(again, &promised, error),
                    Err(refusal) => Step::Refused(refusal, error),
                })
            }
            State::Breaking(reason, error) => {
                let exit = ready!(reason.as_mut().poll(context));
                let error = error.take();
                self.state = State::Over;
                Poll::Ready(Step::Broken(exit, error))
            }
            State::Passing(upstream) => {
                match ready!(upstream.poll_piece(context)) {
                    Some(Ok(frame)) => {
                        upstream.seat.progressed();
                        self.take(frame);
                        Poll::Ready(self.look_for_end())
                    }
                    None => Poll::Ready(self.end()),
                    // The server died after its last word: nothing is missing.
                    Some(Err(_)) if self.said_all() => Poll::Ready(self.end()),
                    Some(Err(error)) => {
                        self.break_off(error);
                        self.poll_upstream(context)
                    }
                }
            }
        }
    }

    fn take(&mut self, frame: Frame<Bytes>) {
        let bytes = match frame.into_data() {
            Ok(bytes) => bytes,
            Err(trailers) => return self.ready.push_back(trailers),
        };
        if let Some(watch) = &mut self.watch {
            watch.piece(&bytes);
        }
        if !self.held {
            self.replay = None;
        }
        match &mut self.torn {
            Some(torn) => torn.push(&bytes, &mut self.ready),
            None => self.ready.push_back(Frame::data(bytes)),
        }
    }

    /// A body of known length is over with its last piece.
    fn look_for_end(&mut self) -> Step {
        match &self.state {
            State::Passing(upstream) if upstream.body.is_end_stream() => self.end(),
            _ => Step::More,
        }
    }

    /// Whether a stream has come to its own end.
    fn said_all(&self) -> bool {
        self.torn.is_some() && self.watch.as_ref().is_some_and(Watch::said_all)
    }

    /// The answer is whole: the connection is kept, the record is left.
    fn end(&mut self) -> Step {
        let State::Passing(upstream) = mem::replace(&mut self.state, State::Over) else {
            return Step::More;
        };
        upstream.pool.keep(upstream.connection);
        if let Some(torn) = &mut self.torn {
            torn.flush(&mut self.ready);
        }
        self.permit = None;
        let timings = self.watch.take().map(|mut watch| watch.ended());
        let timings = timings.unwrap_or_default();
        if self.trailer {
            self.push_trailer(&timings);
        }
        Step::Ended(timings)
    }

    /// After the body, beside what the server itself may have sent there.
    fn push_trailer(&mut self, timings: &Timings) {
        let last = self.ready.back().is_some_and(Frame::is_trailers);
        let last = last.then(|| self.ready.pop_back()).flatten();
        let of_server = last.and_then(|frame| frame.into_trailers().ok());
        let mut trailers = of_server.unwrap_or_default();
        timings.state(&mut trailers);
        self.ready.push_back(Frame::trailers(trailers));
    }

    /// The request was sent again: its answer takes the place of the one that broke.
    fn go_on(&mut self, again: Again, promised: &Promised, error: Option<hyper::Error>) -> Step {
        let Again {
            sent,
            seat,
            watch,
            permit,
        } = again;
        let (head, body) = sent.response.into_parts();
        if !self.held && Promised::by(&head) != *promised {
            // The head of the first attempt is with the client and does not fit this answer.
            let refusal = Refusal::new(
                StatusCode::BAD_GATEWAY,
                "server_error",
                format!("asked again, the server answered with {}", head.status),
            );
            if let Some((mut exchange, _)) = watch.and_then(Watch::reopen) {
                refuse(&mut exchange, &refusal);
            }
            return Step::Refused(refusal, error);
        }
        self.head = Some(head).filter(|_| self.held);
        self.watch = watch;
        self.permit = permit;
        self.state = State::Passing(Box::new(Upstream::new(body, sent.connection, seat)));
        self.look_for_end()
    }

    /// The server broke off: asks again where nothing was passed on, else looks for the reason.
    fn break_off(&mut self, error: hyper::Error) {
        let watch = self.watch.take();
        let unrecorded = self.permit.take();
        let path = self.path.clone();
        let State::Passing(upstream) = mem::replace(&mut self.state, State::Over) else {
            return;
        };
        let seat = match (upstream.seat, self.replay.take()) {
            (Seat::Ours(lease), Some(replay)) => {
                self.ready.clear();
                self.torn = self.torn.take().map(|_| Torn::default());
                let (exchange, permit) = watch.and_then(Watch::reopen).unzip();
                let (replay, promised) = *replay;
                let sending = replay.send(lease, exchange, permit.or(unrecorded));
                self.state = State::Replaying(Box::pin(sending), promised, Some(error));
                return;
            }
            (seat, _) => seat,
        };
        let reason = async move {
            match watch {
                Some(watch) => {
                    let broken = ApiError::Broken { path, source: None };
                    watch.broke(broken).await
                }
                None => seat.exit(),
            }
        };
        self.state = State::Breaking(Box::pin(reason), Some(error));
    }
}

/// What was heard of the server.
enum Step {
    /// Something, and more is to come.
    More,
    /// The end of the answer.
    Ended(Timings),
    /// It broke off; how the server ended, if it did.
    Broken(Option<Exit>, Option<hyper::Error>),
    /// It broke off, and asking again was in vain.
    Refused(Refusal, Option<hyper::Error>),
}

/// What a client is told whose server broke off.
fn refusal(exit: Option<Exit>, path: &str) -> Refusal {
    let reason = exit.map_or_else(
        || {
            let path = path.to_owned();
            ApiError::Broken { path, source: None }.to_string()
        },
        |exit| exit.to_string(),
    );
    Refusal::new(StatusCode::BAD_GATEWAY, "server_error", reason)
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Poll::Ready(Some(Ok(frame)));
            }
            if matches!(self.state, State::Over) {
                return Poll::Ready(None);
            }
            match ready!(self.poll_upstream(context)) {
                Step::More | Step::Ended(_) => {}
                // What is torn stays behind: the event that says so must begin on a line of its own.
                Step::Broken(exit, _) if self.torn.is_some() => {
                    let event = refusal(exit, &self.path).event(self.dialect);
                    self.ready.push_back(Frame::data(event));
                }
                Step::Refused(refusal, _) if self.torn.is_some() => {
                    let event = refusal.event(self.dialect);
                    self.ready.push_back(Frame::data(event));
                }
                Step::Broken(_, Some(error)) | Step::Refused(_, Some(error)) => {
                    return Poll::Ready(Some(Err(error)));
                }
                Step::Broken(_, None) | Step::Refused(_, None) => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Over) && self.ready.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Passing(upstream) if self.ready.is_empty() && self.torn.is_none() => {
                upstream.body.size_hint()
            }
            State::Over if !self.ready.iter().any(Frame::is_trailers) => {
                let data = self.ready.iter().filter_map(Frame::data_ref);
                SizeHint::with_exact(data.map(|bytes| bytes.len() as u64).sum())
            }
            _ => SizeHint::default(),
        }
    }
}
