//! Requests as they come and as they are answered.

use super::*;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use std::io::Write as _;
use std::time::Duration;

const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    memory: 8 << 20,
};

fn span(trace: &[u8], id: &[u8], attributes: usize) -> Span {
    let attribute = KeyValue {
        key: "a".into(),
        value: Some(AnyValue {
            value: Some(Value::IntValue(1)),
        }),
        ..KeyValue::default()
    };
    Span {
        trace_id: trace.to_vec(),
        span_id: id.to_vec(),
        name: "chat smollm2".into(),
        start_time_unix_nano: 1_795_000_000_000_000_000,
        attributes: vec![attribute; attributes],
        ..Span::default()
    }
}

fn traces(spans: Vec<Span>) -> TracesData {
    TracesData {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn take(encoding: Encoding, compression: Compression, bytes: &[u8]) -> Result<Received, Refused> {
    read(
        Signal::Traces,
        encoding,
        compression,
        bytes.to_vec(),
        LIMITS,
        &mut |_| true,
    )
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn every_form_is_the_same_request() {
    let sent = traces(vec![span(&[1; 16], &[2; 8], 3)]);
    let (protobuf, json) = (sent.encode_to_vec(), serde_json::to_vec(&sent).unwrap());
    let zstd = zstd::encode_all(&*protobuf, 0).unwrap();
    for (encoding, compression, bytes) in [
        (Encoding::Protobuf, Compression::Identity, protobuf.clone()),
        (Encoding::Protobuf, Compression::Gzip, gzip(&protobuf)),
        (Encoding::Protobuf, Compression::Zstd, zstd),
        (Encoding::Json, Compression::Identity, json.clone()),
        (Encoding::Json, Compression::Gzip, gzip(&json)),
    ] {
        let received = take(encoding, compression, &bytes).unwrap();
        assert_eq!(received.payload, protobuf, "{encoding:?} {compression:?}");
        assert_eq!(received.rejected, Rejected::default());
    }
    // Nothing at all is a request of nothing.
    for (encoding, bytes) in [(Encoding::Protobuf, &b""[..]), (Encoding::Json, b"{}")] {
        let received = take(encoding, Compression::Identity, bytes).unwrap();
        assert!(received.payload.is_empty());
    }
}

#[test]
fn what_cannot_be_kept_is_left_out_and_counted() {
    let good = span(&[1; 16], &[2; 8], 1);
    let sent = traces(vec![
        good.clone(),
        span(&[1; 15], &[2; 8], 1),
        span(&[0; 16], &[2; 8], 1),
        span(&[1; 16], &[], 1),
        span(&[1; 16], &[2; 8], (1 << 16) + 1),
    ]);
    let received = take(
        Encoding::Protobuf,
        Compression::Gzip,
        &gzip(&sent.encode_to_vec()),
    );
    let received = received.unwrap();
    assert_eq!(received.payload, traces(vec![good]).encode_to_vec());
    assert_eq!(received.rejected.count, 4);
    assert_eq!(
        received.rejected.reason,
        "2 with a trace id that is not 16 bytes, or all zero; \
         1 with a span id that is not 8 bytes, or all zero; \
         1 with more than 65536 attributes"
    );
    let told = success(Signal::Traces, Encoding::Json, &received.rejected);
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["partialSuccess"]["rejectedSpans"], "4");
}

#[test]
fn bombs_are_refused_before_they_take_memory() {
    let mut reserved = 0;
    let mut refuse = |encoding, compression, bytes: Vec<u8>| {
        reserved = 0;
        let mut reserve = |more: usize| {
            reserved += more;
            true
        };
        let outcome = read(
            Signal::Traces,
            encoding,
            compression,
            bytes,
            LIMITS,
            &mut reserve,
        );
        (outcome.unwrap_err(), reserved)
    };
    let zeros = vec![0; 64 << 20];
    for (compression, packed) in [
        (Compression::Gzip, gzip(&zeros)),
        (Compression::Zstd, zstd::encode_all(&*zeros, 0).unwrap()),
    ] {
        let (refused, reserved) = refuse(Encoding::Protobuf, compression, packed);
        assert!(matches!(refused, Refused::TooLarge { .. }), "{refused}");
        assert!(reserved <= LIMITS.bytes + 1 + (8 << 20), "{reserved}");
    }
    // A megabyte of empty messages would be fifty of memory.
    let empty = [0x0a, 0x00].repeat(1 << 19);
    let (refused, reserved) = refuse(Encoding::Protobuf, Compression::Identity, empty);
    assert!(matches!(refused, Refused::TooRich { .. }), "{refused}");
    assert_eq!(reserved, 0);
    let empty = format!("{{\"resourceSpans\":[{}{{}}]}}", "{},".repeat(300_000));
    let (refused, _) = refuse(Encoding::Json, Compression::Identity, empty.into());
    assert!(matches!(refused, Refused::TooRich { .. }), "{refused}");
    // Values in values in values.
    let mut nested = Vec::new();
    for _ in 0..200 {
        let mut outer = vec![0x0a];
        prost::encode_length_delimiter(nested.len(), &mut outer).unwrap();
        outer.extend(&nested);
        let mut value = vec![0x2a];
        prost::encode_length_delimiter(outer.len(), &mut value).unwrap();
        value.extend(outer);
        nested = value;
    }
    let request = traces(vec![span(&[1; 16], &[2; 8], 0)]);
    let mut request = request.encode_to_vec();
    // As a resource's attribute.
    for tag in [0x12, 0x0a, 0x0a, 0x0a] {
        let mut outer = vec![tag];
        prost::encode_length_delimiter(nested.len(), &mut outer).unwrap();
        outer.extend(&nested);
        nested = outer;
    }
    request.extend(nested);
    let (refused, _) = refuse(Encoding::Protobuf, Compression::Identity, request);
    assert!(matches!(refused, Refused::Protobuf { .. }), "{refused}");
    let deep = format!("{{\"a\":{}", "[".repeat(1000));
    let (refused, _) = refuse(Encoding::Json, Compression::Identity, deep.into());
    assert!(matches!(refused, Refused::Json(_)), "{refused}");
}

#[test]
fn without_memory_nothing_is_taken() {
    let sent = traces(vec![span(&[1; 16], &[2; 8], 3)]).encode_to_vec();
    for (compression, bytes) in [
        (Compression::Identity, sent.clone()),
        (Compression::Gzip, gzip(&sent)),
    ] {
        let outcome = read(
            Signal::Traces,
            Encoding::Protobuf,
            compression,
            bytes,
            LIMITS,
            &mut |_| false,
        );
        assert!(matches!(outcome, Err(Refused::Busy)));
    }
}

#[test]
fn failures_are_statuses() {
    let told = failure(
        Encoding::Json,
        Code::Unavailable,
        "busy",
        Some(Duration::from_millis(1500)),
    );
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["code"], 14);
    assert_eq!(told["details"][0]["retryDelay"], "1.5s");
    let told = failure(Encoding::Protobuf, Code::InvalidArgument, "no", None);
    assert_eq!(told, [8, 3, 0x12, 2, b'n', b'o']);
}
