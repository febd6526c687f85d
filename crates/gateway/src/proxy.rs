//! Passing a request on, and its answer back.

use crate::Shared;
use crate::fleet::FleetError;
use crate::guard::Principal;
use crate::refusal::Refusal;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use llamatelemetry_api::ApiError;
use llamatelemetry_api::transport::{Connection, Sent};
use serde::Deserialize;
use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Bytes that a request's body may have.
const BODY_LIMIT: usize = 64 << 20;

/// Headers that belong to one connection, not to the request.
const HOP_BY_HOP: [header::HeaderName; 6] = [
    header::CONNECTION,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

pub(crate) async fn forward(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    match pass_on(&shared, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn pass_on(shared: &Shared, request: Request<Body>) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let principal = head.extensions.get::<Principal>().cloned();
    let principal = principal.unwrap_or_else(Principal::anyone);
    let body = collect(body).await?;
    let model = asked_model(&body);
    let lease = shared.fleet.lease(model.as_deref()).await?;
    principal.check_model(&lease.server().model().name)?;
    let client = lease.run().client();
    let mut passed = Request::new(Full::new(body.clone()));
    *passed.method_mut() = head.method;
    // A client may send the whole address; a server wants the path alone.
    *passed.uri_mut() = head
        .uri
        .path_and_query()
        .cloned()
        .map_or_else(|| head.uri.clone(), Into::into);
    *passed.headers_mut() = passed_headers(head.headers);
    client.authorize(passed.headers_mut());
    let Sent {
        response,
        connection,
        ..
    } = client.pool().send(passed).await?;
    let (mut head, body) = response.into_parts();
    for name in &HOP_BY_HOP {
        head.headers.remove(name);
    }
    let body = Answer {
        body,
        _connection: connection,
        _lease: lease,
    };
    Ok(Response::from_parts(head, Body::new(body)))
}

async fn collect(body: Body) -> Result<Bytes, Refusal> {
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Refusal {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            kind: "payload_too_large",
            message: format!("the body has more than {BODY_LIMIT} bytes"),
        }),
        Err(error) => Err(Refusal {
            status: StatusCode::BAD_REQUEST,
            kind: "invalid_request_error",
            message: format!("the body broke off: {error}"),
        }),
    }
}

/// The model that a request names, if its body is JSON that does.
fn asked_model(body: &[u8]) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Asked<'a> {
        #[serde(borrow)]
        model: Option<Cow<'a, str>>,
    }
    serde_json::from_slice::<Asked<'_>>(body).ok()?.model
}

fn passed_headers(mut headers: HeaderMap) -> HeaderMap {
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    // The client's key is for us; the body is whole by now.
    headers.remove(header::AUTHORIZATION);
    headers.remove(header::EXPECT);
    headers
}

/// An answer's body on its way. Dropping it closes the connection, which frees the slot.
struct Answer {
    body: hyper::body::Incoming,
    _connection: Connection,
    _lease: crate::fleet::Lease,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

impl From<FleetError> for Refusal {
    fn from(error: FleetError) -> Self {
        let (status, kind) = match error {
            FleetError::Unknown { .. } => (StatusCode::NOT_FOUND, "not_found_error"),
            FleetError::Empty | FleetError::Down(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable_error")
            }
        };
        Self {
            status,
            kind,
            message: error.to_string(),
        }
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self {
            status: StatusCode::BAD_GATEWAY,
            kind: "server_error",
            message: error.to_string(),
        }
    }
}
