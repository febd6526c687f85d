//! What the sender is told, in its own encoding.

use super::{Encoding, Rejected};
use llamatelemetry_store::Signal;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use serde_json::json;
use std::time::Duration;

/// Why a request failed, as gRPC numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// It is not OTLP.
    InvalidArgument = 3,
    /// Whoever asks may not.
    PermissionDenied = 7,
    /// It is too large.
    ResourceExhausted = 8,
    /// There is no such method here, or it is packed in a way that is not understood.
    Unimplemented = 12,
    /// It cannot be taken now; sending it again later may help.
    Unavailable = 14,
    /// Whoever asks did not say who it is.
    Unauthenticated = 16,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The answer to a request that was stored, but for what was rejected of it.
pub fn success(signal: Signal, encoding: Encoding, rejected: &Rejected) -> Vec<u8> {
    let Rejected { count, reason } = rejected;
    match encoding {
        Encoding::Protobuf => {
            // The three answers have the same fields.
            let partial = ExportTracePartialSuccess {
                rejected_spans: i64::try_from(*count).unwrap_or(i64::MAX),
                error_message: reason.clone(),
            };
            let partial_success = (*count > 0).then_some(partial);
            ExportTraceServiceResponse { partial_success }.encode_to_vec()
        }
        Encoding::Json if *count == 0 => b"{}".to_vec(),
        Encoding::Json => {
            let rejected = match signal {
                Signal::Traces => "rejectedSpans",
                Signal::Metrics => "rejectedDataPoints",
                Signal::Logs => "rejectedLogRecords",
            };
            // Numbers of 64 bits are texts in protobuf's JSON.
            let partial = json!({ rejected: count.to_string(), "errorMessage": reason });
            json!({ "partialSuccess": partial })
                .to_string()
                .into_bytes()
        }
    }
}

/// The answer to a request that was not stored: a `google.rpc.Status`. `retry` says after which
/// time it may be sent again.
pub fn failure(encoding: Encoding, code: Code, message: &str, retry: Option<Duration>) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => {
            let detail = |delay: Duration| {
                let retry_delay = Some(Delay {
                    seconds: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
                    nanos: delay.subsec_nanos().cast_signed(),
                });
                Detail {
                    type_url: RETRY_INFO.to_owned(),
                    value: RetryInfo { retry_delay }.encode_to_vec(),
                }
            };
            let status = Status {
                code: code as i32,
                message: message.to_owned(),
                details: retry.map(detail).into_iter().collect(),
            };
            status.encode_to_vec()
        }
        Encoding::Json => {
            let details: Vec<_> = retry
                .map(|delay| {
                    let delay = format!("{}s", delay.as_secs_f64());
                    json!({ "@type": RETRY_INFO, "retryDelay": delay })
                })
                .into_iter()
                .collect();
            let status = json!({ "code": code as i32, "message": message, "details": details });
            status.to_string().into_bytes()
        }
    }
}
