//! OTLP as other programs send it: from the bytes of a request to what the store takes, and the
//! answer in the sender's encoding. Pure; whoever listens brings the bytes.

mod answer;
mod faults;
mod unpack;
mod weigh;

pub use answer::{Code, failure, success};
pub use unpack::Compression;

use crate::check::Document;
use faults::Faults;
use llamatelemetry_store::Signal;
use opentelemetry_proto::tonic::logs::v1::LogsData;
use opentelemetry_proto::tonic::metrics::v1::MetricsData;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message as _;

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`, and all of gRPC.
    Protobuf,
    /// `application/json`, as OTLP defines it.
    Json,
}

/// What one request may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the request, unpacked.
    pub bytes: usize,
    /// Bytes of memory that its messages may take once they are read.
    pub memory: usize,
}

/// A request that can be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The OTLP request, protobuf.
    pub payload: Vec<u8>,
    /// What was taken out of it.
    pub rejected: Rejected,
}

/// Spans, points or log records that are not OTLP's and were left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejected {
    /// How many.
    pub count: u64,
    /// Why, for people; empty if there are none.
    pub reason: String,
}

/// Why a request is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is too long.
    #[error("the request has more than {limit} bytes unpacked")]
    TooLarge {
        /// Bytes that it may have.
        limit: usize,
    },
    /// Its messages would take too much memory: very many, very small ones.
    #[error("the request's messages take more than {limit} bytes of memory")]
    TooRich {
        /// Bytes that they may take.
        limit: usize,
    },
    /// There is no memory left for it now.
    #[error("too much is being received at once")]
    Busy,
    /// It cannot be unpacked.
    #[error("the body is not what its content-encoding says: {0}")]
    Packed(std::io::Error),
    /// It is JSON, but not OTLP's, or no JSON.
    #[error("the body is not OTLP's JSON: {0}")]
    Json(serde_json::Error),
    /// It is no protobuf message of this signal.
    #[error("the body is not an OTLP {signal} message: {reason}")]
    Protobuf {
        /// `traces`, `metrics` or `logs`.
        signal: &'static str,
        /// What does not fit.
        reason: String,
    },
}

/// Reads a request. `reserve` is told of memory that it takes beside `bytes` before it takes it,
/// and says whether there is so much.
pub fn read(
    signal: Signal,
    encoding: Encoding,
    compression: Compression,
    bytes: Vec<u8>,
    limits: Limits,
    reserve: &mut dyn FnMut(usize) -> bool,
) -> Result<Received, Refused> {
    let bytes = unpack::unpack(compression, bytes, limits.bytes, reserve)?;
    let mut weighed = |weight: usize| {
        if weight > limits.memory {
            return Err(Refused::TooRich {
                limit: limits.memory,
            });
        }
        reserve(weight).then_some(()).ok_or(Refused::Busy)
    };
    match encoding {
        Encoding::Json => {
            weighed(weigh::json(&bytes))?;
            let document: Document = serde_json::from_slice(&bytes).map_err(Refused::Json)?;
            drop(bytes);
            Ok(sorted(signal, document))
        }
        Encoding::Protobuf => {
            let weight = weigh::protobuf(signal, &bytes)?;
            weighed(weight.bytes)?;
            if weight.faultless {
                // As it came: what is in it is what is kept.
                return Ok(Received {
                    payload: bytes,
                    rejected: Rejected::default(),
                });
            }
            Ok(sorted(signal, document(signal, &bytes)?))
        }
    }
}

fn document(signal: Signal, bytes: &[u8]) -> Result<Document, Refused> {
    let mut document = Document::default();
    match signal {
        Signal::Traces => {
            TracesData::decode(bytes).map(|data| document.spans = Some(data.resource_spans))
        }
        Signal::Metrics => {
            MetricsData::decode(bytes).map(|data| document.metrics = Some(data.resource_metrics))
        }
        Signal::Logs => {
            LogsData::decode(bytes).map(|data| document.logs = Some(data.resource_logs))
        }
    }
    .map_err(|error| Refused::Protobuf {
        signal: signal.as_str(),
        reason: error.to_string(),
    })?;
    Ok(document)
}

/// What of a document can be kept.
fn sorted(signal: Signal, document: Document) -> Received {
    let mut faults = Faults::default();
    let payload = match signal {
        Signal::Traces => {
            let mut resource_spans = document.spans.unwrap_or_default();
            faults.of_spans(&mut resource_spans);
            TracesData { resource_spans }.encode_to_vec()
        }
        Signal::Metrics => {
            let mut resource_metrics = document.metrics.unwrap_or_default();
            faults.of_points(&mut resource_metrics);
            MetricsData { resource_metrics }.encode_to_vec()
        }
        Signal::Logs => {
            let mut resource_logs = document.logs.unwrap_or_default();
            faults.of_records(&mut resource_logs);
            LogsData { resource_logs }.encode_to_vec()
        }
    };
    Received {
        payload,
        rejected: faults.rejected(),
    }
}

#[cfg(test)]
mod tests;
