//! How a client asks, whatever it asks.

use llamatelemetry_record::Propagation;
use std::time::Duration;

/// How a client asks, whatever it asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallOptions {
    /// The time that an answer has to be whole.
    pub(crate) limit: Option<Duration>,
    /// How often a request is tried again where that is safe.
    pub(crate) retries: u32,
    /// The trace that the server hears of.
    pub(crate) trace: Option<Propagation>,
    /// The name under which the server keeps the stream.
    pub(crate) conversation: Option<String>,
    /// The model that a server of several uses.
    pub(crate) model: Option<String>,
}

/// A setter for each option, the same for both clients; they bring the method `with`.
macro_rules! options {
    () => {
        /// The same client, whose answers must be whole within `limit`, streams included: then the
        /// error is [`ApiError::TimedOut`](crate::ApiError::TimedOut) and the slot is freed.
        /// Without, what only tells what is there has 30 s, and what computes has no limit.
        #[must_use]
        pub fn within(&self, limit: std::time::Duration) -> Self {
            self.with(|options| options.limit = Some(limit))
        }

        /// The same client, which asks up to `retries` times more where that is safe: nobody
        /// accepted the connection; the server said that it is not ready; the connection broke
        /// and the question changes and computes nothing. It pauses 50 ms and twice as long each
        /// time, up to 2 s.
        #[must_use]
        pub fn retrying(&self, retries: u32) -> Self {
            self.with(|options| options.retries = retries)
        }

        /// The same client, whose requests belong to this trace.
        #[must_use]
        pub fn traced(&self, trace: &llamatelemetry_record::Propagation) -> Self {
            self.with(|options| options.trace = Some(trace.clone()))
        }

        /// The same client, whose streams the server keeps under this name: another connection can
        /// [go on](crate::EventStream::resume) where one broke, and
        /// [start anew](crate::Endpoints::resume). The server then works on an answer to its end
        /// though its stream is dropped, unless it is
        /// [stopped](crate::Endpoints::stop_stream). A name has one stream at a time: a new one
        /// stops the one before.
        #[must_use]
        pub fn in_conversation(&self, name: impl Into<String>) -> Self {
            self.with(|options| options.conversation = Some(name.into()))
        }

        /// The same client, which names this model in every request that names none: for servers
        /// of several models.
        #[must_use]
        pub fn for_model(&self, model: impl Into<String>) -> Self {
            self.with(|options| options.model = Some(model.into()))
        }
    };
}
pub(crate) use options;
