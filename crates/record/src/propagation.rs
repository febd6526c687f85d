//! How a trace crosses from one program to the next: W3C `traceparent`, `tracestate`, `baggage`.

use crate::{Baggage, TraceContext, TraceState};

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

/// What a request carries of its trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Propagation {
    /// The request's own span, the parent of what the server does.
    pub context: TraceContext,
    /// The caller's `tracestate`.
    pub state: Option<TraceState>,
    /// Baggage.
    pub baggage: Baggage,
}

/// What came with a request of its caller's trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Incoming {
    /// The caller's span.
    pub parent: Option<TraceContext>,
    /// What tracing systems before it added; only beside a parent.
    pub state: Option<TraceState>,
    /// Baggage.
    pub baggage: Baggage,
}

impl From<TraceContext> for Propagation {
    fn from(context: TraceContext) -> Self {
        Self {
            context,
            state: None,
            baggage: Baggage::default(),
        }
    }
}

impl Propagation {
    /// The headers to send.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let state = self.state.as_ref().map(ToString::to_string);
        let baggage = (!self.baggage.is_empty()).then(|| self.baggage.to_string());
        [
            Some((TRACEPARENT, self.context.to_string())),
            state.map(|state| (TRACESTATE, state)),
            baggage.map(|baggage| (BAGGAGE, baggage)),
        ]
        .into_iter()
        .flatten()
    }
}

impl Incoming {
    /// Reads the headers of a request; names count in any case. What is malformed is ignored, as
    /// the recommendations ask.
    pub fn read<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut incoming = Self::default();
        let mut parents = 0;
        let mut state: Vec<&str> = Vec::new();
        for (name, value) in headers {
            if name.eq_ignore_ascii_case(TRACEPARENT) {
                parents += 1;
                incoming.parent = value.parse().ok();
            } else if name.eq_ignore_ascii_case(TRACESTATE) {
                state.push(value);
            } else if name.eq_ignore_ascii_case(BAGGAGE) {
                incoming.baggage.read_more(value);
            }
        }
        if parents > 1 {
            incoming.parent = None;
        }
        if incoming.parent.is_some() {
            incoming.state = state.join(",").parse().ok();
        }
        incoming
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_came_in_goes_out() {
        let headers = [
            ("Traceparent", PARENT),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
            ("baggage", "user=x"),
            ("Baggage", "tenant=y"),
            ("other", "z"),
        ];
        let Incoming {
            parent,
            state,
            baggage,
        } = Incoming::read(headers);
        let out = Propagation {
            context: parent.unwrap(),
            state,
            baggage,
        };
        let out: Vec<_> = out.headers().collect();
        let expected = [
            ("traceparent", PARENT.to_owned()),
            ("tracestate", "a=1,b=2".to_owned()),
            ("baggage", "user=x,tenant=y".to_owned()),
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn a_doubtful_parent_is_none_and_takes_its_state_along() {
        for parents in [&["nonsense"][..], &[PARENT, PARENT]] {
            let headers = parents.iter().map(|value| ("traceparent", *value));
            let incoming = Incoming::read(headers.chain([("tracestate", "a=1")]));
            assert_eq!(incoming, Incoming::default());
        }
    }
}
