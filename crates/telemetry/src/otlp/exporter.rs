//! Encodes a batch, sends it, tries again where the protocol says so, and counts.

use super::Counts;
use super::stop::Stop;
use super::transport::{Again, Refusal, Transport};
use crate::config::{Compression, Encoding};
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use prost::Message as _;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The first wait before another attempt; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Sends batches. Works on the batch processor's own thread and blocks there.
#[derive(Debug)]
pub(super) struct Exporter {
    transport: Transport,
    resource: ResourceAttributesWithSchema,
    counts: Arc<Counts>,
    stop: Arc<Stop>,
    /// A failure was reported; further ones are only counted.
    reported: AtomicBool,
}

impl Exporter {
    pub(super) fn new(
        transport: Transport,
        resource: &Resource,
        counts: Arc<Counts>,
        stop: Arc<Stop>,
    ) -> Self {
        Self {
            transport,
            resource: resource.into(),
            counts,
            stop,
            reported: AtomicBool::new(false),
        }
    }

    fn deliver(&self, batch: Vec<SpanData>) -> Result<(), String> {
        let spans = batch.len() as u64;
        let body = self.payload(batch)?;
        let deadline = Instant::now() + self.transport.config().timeout;
        let mut wait = FIRST_WAIT;
        loop {
            let stop = self.stop.deadline();
            let limit = stop.map_or(deadline, |stop| stop.min(deadline));
            let left = limit.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err("no answer in time".to_owned());
            }
            let Refusal { reason, again } = match self.transport.send(&body, left) {
                Ok(answer) => {
                    let delivered = spans.saturating_sub(answer.rejected);
                    self.counts
                        .delivered
                        .fetch_add(delivered, Ordering::Relaxed);
                    return match answer.rejected {
                        0 => Ok(()),
                        rejected => Err(format!(
                            "the collector rejected {rejected} of {spans} spans: {}",
                            answer.message
                        )),
                    };
                }
                Err(refusal) => refusal,
            };
            let pause = match again {
                Again::Never => return Err(reason),
                Again::Later => jittered(wait),
                Again::After(time) => time.max(jittered(wait)),
            };
            // Also when stopped while waiting there is one more attempt, at once.
            if self.stop.deadline().is_some() || Instant::now() + pause >= deadline {
                return Err(reason);
            }
            self.stop.wait(pause);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn payload(&self, batch: Vec<SpanData>) -> Result<Vec<u8>, String> {
        let request = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(batch, &self.resource),
        };
        let body = match self.transport.config().encoding {
            Encoding::Protobuf => request.encode_to_vec(),
            Encoding::Json => serde_json::to_vec(&request).map_err(|error| error.to_string())?,
        };
        match self.transport.config().compression {
            Compression::None => Ok(body),
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder
                    .write_all(&body)
                    .and_then(|()| encoder.finish())
                    .map_err(|error| error.to_string())
            }
        }
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.deliver(batch).map_err(|reason| {
            if self.reported.swap(true, Ordering::Relaxed) {
                tracing::debug!(reason, "spans were not delivered");
            } else {
                let endpoint = &self.transport.config().endpoint;
                tracing::warn!(
                    %endpoint,
                    reason,
                    "spans were not delivered; further failures are counted and told at the end"
                );
            }
            *self.counts.failure() = Some(reason.clone());
            OTelSdkError::InternalFailure(reason)
        })
    }
}

/// Between three and five quarters of the time, so that clients that failed together do not come
/// back together.
fn jittered(time: Duration) -> Duration {
    let random = RandomState::new().hash_one(Instant::now()) % 512;
    let quarters = 0.75 + 0.5 * (random as f64 / 512.0);
    time.mul_f64(quarters)
}
