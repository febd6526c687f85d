//! `OTEL_BSP_*` and `OTEL_BLRP_*`: how signals wait for their export.

use super::reader::Variables;
use crate::signal::Signal;
use std::time::Duration;

/// How the items of a signal wait for their export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchConfig {
    /// Requests, or log lines, that wait for the pipeline at most; more are dropped and counted.
    pub(crate) queue: usize,
    /// Items sent at once at most.
    pub(crate) batch: usize,
    /// How long an item waits for others.
    pub(crate) delay: Duration,
}

/// The names of a batch's variables.
struct Names {
    queue: &'static str,
    batch: &'static str,
    delay: &'static str,
}

impl BatchConfig {
    pub(super) fn read(variables: &mut Variables<'_>, signal: Signal) -> Self {
        // The specification's queue of 2048 overflows within one delay at 130 requests a second.
        let default = |delay| Self {
            queue: 16_384,
            batch: 512,
            delay,
        };
        let (names, default) = match signal {
            Signal::Traces => (
                Names {
                    queue: "OTEL_BSP_MAX_QUEUE_SIZE",
                    batch: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                    delay: "OTEL_BSP_SCHEDULE_DELAY",
                },
                default(Duration::from_secs(5)),
            ),
            Signal::Logs => (
                Names {
                    queue: "OTEL_BLRP_MAX_QUEUE_SIZE",
                    batch: "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
                    delay: "OTEL_BLRP_SCHEDULE_DELAY",
                },
                default(Duration::from_secs(1)),
            ),
            // What is collected is sent at once; how often that is stands elsewhere.
            Signal::Metrics => return default(Duration::ZERO),
        };
        let count = |value: Option<u64>, default: usize| match value {
            None | Some(0) => default,
            Some(value) => usize::try_from(value).unwrap_or(usize::MAX),
        };
        let queue = count(variables.number(names.queue), default.queue);
        let batch = count(variables.number(names.batch), default.batch);
        Self {
            queue,
            batch: batch.min(u32::MAX as usize),
            delay: variables.milliseconds(names.delay).unwrap_or(default.delay),
        }
    }
}
