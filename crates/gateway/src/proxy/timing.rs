//! `Server-Timing`: where a request's time went, for whoever looks at its answer.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use llamatelemetry_record::Phases;
use std::fmt::Write as _;
use std::time::Duration;

/// The header's name.
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The value of one `Server-Timing` header, in milliseconds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Timings(String);

impl Timings {
    /// What is known when an answer begins to stream.
    pub(crate) fn queue(queue: Option<Duration>) -> Self {
        let mut timings = Self::default();
        timings.add("queue", queue);
        timings
    }

    /// All phases; what is not known is not stated.
    pub(crate) fn all(phases: &Phases) -> Self {
        let mut timings = Self::queue(phases.queue);
        timings.add("prefill", phases.prefill);
        timings.add("decode", phases.decode);
        timings.add("total", Some(phases.total));
        timings
    }

    fn add(&mut self, name: &str, duration: Option<Duration>) {
        let Some(duration) = duration else { return };
        let separator = if self.0.is_empty() { "" } else { ", " };
        let milliseconds = duration.as_secs_f64() * 1e3;
        // Writing to a text cannot fail.
        write!(self.0, "{separator}{name};dur={milliseconds:.3}").unwrap_or_default();
    }

    /// Adds the header, beside one that the server may have sent.
    pub(crate) fn state(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_str(&self.0)
            && !self.0.is_empty()
        {
            headers.append(SERVER_TIMING, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llamatelemetry_record::TimingSource;

    #[test]
    fn the_unknown_is_not_stated() {
        let phases = Phases {
            queue: Some(Duration::from_micros(1_500)),
            prefill: None,
            decode: None,
            total: Duration::from_millis(20),
            source: TimingSource::Wall,
        };
        let timings = Timings::all(&phases);
        assert_eq!(timings.0, "queue;dur=1.500, total;dur=20.000");
        let mut headers = HeaderMap::new();
        Timings::queue(None).state(&mut headers);
        assert!(headers.is_empty());
    }
}
