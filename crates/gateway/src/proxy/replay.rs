//! A request is sent again, once, when its server breaks before anything of the answer was passed on.

use super::seat::Seat;
use super::watch::Watch;
use super::{broken, passed, refuse};
use crate::admission::Permit;
use crate::fleet::Lease;
use crate::refusal::Refusal;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header, response};
use llamatelemetry::Exchange;
use llamatelemetry_api::transport::Sent;
use llamatelemetry_record::PhaseClock;

/// What is needed to send a request again.
pub(super) struct Replay {
    pub(super) head: Parts,
    pub(super) body: Bytes,
}

/// What an answer's head says of its body: the answer to the request that is sent again must be
/// like it where that head is with the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Promised {
    status: StatusCode,
    length: Option<HeaderValue>,
    kind: Option<HeaderValue>,
    encoding: Option<HeaderValue>,
}

impl Promised {
    pub(super) fn by(head: &response::Parts) -> Self {
        let value = |name| head.headers.get(name).cloned();
        Self {
            status: head.status,
            length: value(header::CONTENT_LENGTH),
            kind: value(header::CONTENT_TYPE),
            encoding: value(header::CONTENT_ENCODING),
        }
    }
}

/// A request that was sent, perhaps again, and the head of its answer.
pub(super) struct Again {
    pub(super) sent: Sent,
    pub(super) seat: Seat,
    pub(super) watch: Option<Watch>,
    /// That of a request which leaves no record; else the watch has it.
    pub(super) permit: Option<Permit>,
}

impl Again {
    pub(super) fn new(
        answered: Sent,
        seat: Seat,
        recorded: Option<(Exchange, PhaseClock)>,
        permit: impl Into<Option<Permit>>,
    ) -> Self {
        let (watch, permit) = match (recorded, permit.into()) {
            (Some((exchange, clock)), Some(permit)) => {
                (Some(Watch::new(exchange, permit, clock, &answered)), None)
            }
            (_, permit) => (None, permit),
        };
        Self {
            sent: answered,
            seat,
            watch,
            permit,
        }
    }
}

impl Replay {
    /// Waits for a server that can be asked, and asks it. What fails now is the request's failure.
    pub(super) async fn send(
        self,
        lease: Lease,
        mut exchange: Option<Exchange>,
        permit: impl Into<Option<Permit>>,
    ) -> Result<Again, Refusal> {
        let permit = permit.into();
        let lease = match lease.again().await {
            Ok(lease) => lease,
            Err(error) => {
                let refusal = Refusal::from(error);
                if let Some(exchange) = &mut exchange {
                    refuse(exchange, &refusal);
                }
                return Err(refusal);
            }
        };
        let seat = Seat::Ours(lease);
        let clock = exchange.as_mut().map(|exchange| seat.begin(exchange));
        let request = passed(self.head, self.body, &seat, exchange.as_ref());
        match seat.send(request).await {
            Ok(answer) => Ok(Again::new(answer, seat, exchange.zip(clock), permit)),
            Err(error) => Err(broken(error, exchange, &seat).await),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Response;

    #[test]
    fn another_answer_keeps_the_promise_only_with_the_same_head_of_its_body() {
        let promised = |status: u16, headers: &[(&str, &str)]| {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(*name, *value);
            }
            Promised::by(&response.body(()).unwrap().into_parts().0)
        };
        let first = promised(200, &[("content-length", "9"), ("date", "1")]);
        assert_eq!(
            first,
            promised(200, &[("content-length", "9"), ("date", "2")])
        );
        for (status, headers) in [
            (500, &[("content-length", "9")][..]),
            (200, &[("content-length", "10")]),
            (
                200,
                &[("content-length", "9"), ("content-encoding", "gzip")],
            ),
            (
                200,
                &[
                    ("content-length", "9"),
                    ("content-type", "text/event-stream"),
                ],
            ),
            (200, &[]),
        ] {
            assert_ne!(first, promised(status, headers), "{status} {headers:?}");
        }
    }
}
