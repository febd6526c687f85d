//! Passing a request on, and its answer back: original bytes both ways.
//!
//! [`forward`] reads a request's body whole, leases a server, sends the request and hands the
//! answer on as it comes. What the record needs is read beside the bytes: of the request by
//! [`question`], of the answer by [`watch`].

mod answer;
mod content;
mod endpoint;
mod headers;
mod question;
mod replay;
mod seat;
mod slot_file;
mod spelling;
mod timing;
mod torn;
mod watch;

use crate::Shared;
use crate::admission::Cost;
use crate::fleet::FleetError;
use crate::guard::Principal;
use crate::refusal::{Dialect, Refusal};
use crate::upstream::Upstream;
use answer::Answer;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use endpoint::Target;
use headers::RequestId;
pub(crate) use headers::to_client;
use http::request::Parts;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use llamatelemetry::Exchange;
use llamatelemetry_api::ApiError;
use llamatelemetry_api::transport::Sent;
use llamatelemetry_record::{Sink, TraceContext, Wait, WaitCause};
use question::Question;
use replay::{Again, Promised, Replay};
use seat::Seat;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use watch::Watch;

/// A wait for a slot that is shorter is no wait: it is what letting in itself takes.
const WORTH_TELLING: Duration = Duration::from_millis(1);
/// Whole answers up to so many bytes are read to their end before their head is passed on, which
/// then tells their times. llama-server sends head and body of such answers at once.
const HELD: u64 = 256 << 10;

/// Where records go and what they may hold.
pub(crate) struct Records {
    pub(crate) sink: Arc<dyn Sink>,
    /// Whether they hold what was said.
    pub(crate) content: bool,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records")
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

/// Passes a request on to the server of the model that it names.
pub(crate) async fn forward(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let (mut head, body) = request.into_parts();
    let principal = head.extensions.remove();
    let principal = principal.unwrap_or_else(Principal::anyone);
    let target = Target::of(&head.method, head.uri.path());
    let id = RequestId::of(&head.headers);
    let mut span = None;
    let mut response = match pass_on(&shared, &target, &principal, head, body, &mut span).await {
        Ok(response) => response,
        Err(refusal) => refusal.respond(target.dialect),
    };
    id.name(response.headers_mut());
    if let Some(span) = span {
        headers::trace(response.headers_mut(), span);
    }
    response
}

/// `span` is the request's own, as soon as it has one.
async fn pass_on(
    shared: &Shared,
    target: &Target,
    principal: &Principal,
    head: Parts,
    body: Body,
    span: &mut Option<TraceContext>,
) -> Result<Response, Refusal> {
    if head.method == Method::CONNECT {
        return Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "invalid_request_error",
            "this is no tunnel",
        ));
    }
    let deadline = shared.admission.deadline(&head.headers)?;
    let body = shared.admission.read(body, deadline).await;
    let whole = body.clone().unwrap_or_default();
    let question = Question::read(&whole);
    let model = question.model.clone();
    // Requests without a body name it in their query, as llama-server's router has it.
    let model = model.or_else(|| question::model_in_query(&head.uri));
    let mut exchange = target.endpoint.map(|endpoint| {
        let asked = question.asked(&head.headers, &whole, endpoint, shared);
        Exchange::begin(shared.records.sink.clone(), endpoint, asked)
    });
    *span = exchange.as_ref().map(Exchange::context);
    let by = *span;
    let leased = async {
        let body = body?;
        slot_file::check(&head, &body)?;
        let (name, foreign) = find(shared, model.as_deref())?;
        principal.check_model(&name)?;
        // What clients call a foreign server's models must not fill our tables.
        let queue = foreign.as_ref().map_or(&*name, |upstream| upstream.name());
        let cost = Cost::new(queue, target.work, &body);
        let called = (Instant::now(), SystemTime::now());
        if let Some(exchange) = &mut exchange {
            exchange.waits_for(WaitCause::Admission);
        }
        let permit = shared.admission.enter(principal, cost, deadline).await;
        let waited = Wait {
            cause: WaitCause::Admission,
            started_at: called.1,
            duration: called.0.elapsed(),
            exit: None,
            span: None,
        };
        if let Some(exchange) = &mut exchange {
            if waited.duration >= WORTH_TELLING {
                exchange.waited(waited);
            } else {
                exchange.waits_no_more();
            }
        }
        let mut permit = permit?;
        if let Some(upstream) = foreign {
            return Ok((permit, Seat::Foreign(upstream)));
        }
        if let Some(exchange) = &mut exchange
            && let Some(cause) = shared.fleet.wait_for(&name)
        {
            exchange.waits_for(cause);
        }
        // The model that was checked, whatever the name may mean by now.
        let lease = shared.fleet.lease(Some(&name), deadline, by).await;
        let lease = lease.inspect_err(|_| permit.used(0))?;
        if let Some(exchange) = &mut exchange {
            exchange.waits_no_more();
            for wait in lease.waits() {
                exchange.waited(wait.clone());
            }
        }
        shared.admission.learn_slots(&name, lease.run());
        Ok((permit, Seat::Ours(lease)))
    };
    let (permit, seat) = match leased.await {
        Ok(leased) => leased,
        Err(refusal) => {
            if let Some(exchange) = &mut exchange {
                refuse(exchange, &refusal);
            }
            return Err(refusal);
        }
    };
    let clock = exchange.as_mut().map(|exchange| seat.begin(exchange));
    let takes_trailers = headers::takes_trailers(&head.headers);
    let asked = (target.dialect, head.uri.path().to_owned());
    let replay = Replay {
        head: head.clone(),
        body: whole.clone(),
    };
    let request = passed(head, whole, &seat, exchange.as_ref());
    let outcome = seat.send(request).await;
    match (outcome, seat) {
        (Ok(answered), seat) => {
            let again = Again::new(answered, seat, exchange.zip(clock), permit);
            answer(again, asked, takes_trailers, Some(replay)).await
        }
        (Err(error), Seat::Ours(lease)) if error.is_disconnect() => {
            let again = replay.send(lease, exchange, permit).await?;
            answer(again, asked, takes_trailers, None).await
        }
        (Err(error), seat) => Err(broken(error, exchange, &seat).await),
    }
}

/// The name of the model that is asked for, and who serves it if that is none of ours.
fn find(
    shared: &Shared,
    model: Option<&str>,
) -> Result<(String, Option<Arc<Upstream>>), FleetError> {
    match (shared.fleet.name_of(model), &shared.upstream) {
        (Err(FleetError::Empty | FleetError::Unknown { .. }), Some(upstream)) => {
            let name = model.unwrap_or_default().to_owned();
            Ok((name, Some(upstream.clone())))
        }
        (name, _) => Ok((name?, None)),
    }
}

/// The request as the server gets it.
fn passed(
    head: Parts,
    body: Bytes,
    seat: &Seat,
    exchange: Option<&Exchange>,
) -> Request<Full<Bytes>> {
    let mut passed = Request::new(Full::new(body));
    *passed.method_mut() = head.method;
    // A client may send the whole address; a server wants the path alone.
    *passed.uri_mut() = match head.uri.path_and_query() {
        Some(path) => path.clone().into(),
        None => head.uri,
    };
    *passed.headers_mut() = headers::to_server(head.headers, exchange);
    seat.address(&mut passed);
    // They hold how the names of its headers were written.
    *passed.extensions_mut() = head.extensions;
    passed
}

/// The answer's head is here: makes the response whose body is the rest of it.
async fn answer(
    Again {
        sent,
        seat,
        watch,
        permit,
    }: Again,
    asked: (Dialect, String),
    takes_trailers: bool,
    replay: Option<Replay>,
) -> Result<Response, Refusal> {
    let Sent {
        response,
        connection,
        ..
    } = sent;
    let (mut head, body) = response.into_parts();
    headers::to_client(&mut head.headers);
    let streamed = headers::is_stream(&head.headers);
    let short = headers::length(&head.headers).is_some_and(|length| length <= HELD);
    let waits = !streamed && short && watch.is_some();
    let trailed = streamed && takes_trailers && watch.is_some();
    let begun = watch.as_ref().filter(|_| streamed).map(Watch::begun);
    let replay = replay.map(|replay| (replay, Promised::by(&head)));
    let mut answer = Answer::new(
        body,
        connection,
        seat,
        (watch, permit),
        asked,
        streamed,
        replay,
    );
    let timings = if waits {
        Some(answer.hold().await?)
    } else {
        begun
    };
    if waits && let Some(other) = answer.other_head() {
        head = other;
        headers::to_client(&mut head.headers);
    }
    if let Some(timings) = &timings {
        timings.state(&mut head.headers);
    }
    if trailed {
        answer.add_trailer(&mut head.headers);
    }
    Ok(Response::from_parts(head, Body::new(answer)))
}

/// No answer came.
async fn broken(error: ApiError, exchange: Option<Exchange>, seat: &Seat) -> Refusal {
    let exit = match exchange {
        Some(mut exchange) => {
            let observed = exchange.unanswered(None).observed;
            exchange.fail(&error, observed, None).await
        }
        None => seat.exit(),
    };
    let reason = exit.map(|exit| exit.to_string());
    Refusal::new(
        StatusCode::BAD_GATEWAY,
        "server_error",
        reason.unwrap_or_else(|| error.to_string()),
    )
}

/// The request is not passed on: that is its record.
fn refuse(exchange: &mut Exchange, refusal: &Refusal) {
    let end = exchange.unanswered(Some(refusal.failure()));
    exchange.end(end);
}
