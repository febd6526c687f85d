//! What the OTLP receiver does with a body, in any encoding, packed or not: requests that are almost
//! OTLP are taken or refused, without a panic and within their memory. What was taken is OTLP
//! without faults: taken again, nothing of it is left out.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use llamatelemetry_fuzz::Request;
use llamatelemetry_store::Signal;
use llamatelemetry_telemetry::received::{Compression, Encoding, Limits, Refused, read};
use opentelemetry_proto::tonic::logs::v1::LogsData;
use opentelemetry_proto::tonic::metrics::v1::MetricsData;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message as _;
use std::io::Write as _;

const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    memory: 16 << 20,
};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    request: Request,
    json: bool,
    packed: u8,
    /// In the message, before it is packed.
    inner: Vec<Change<'a>>,
    /// In what is sent.
    outer: Vec<Change<'a>>,
}

#[derive(Debug, Arbitrary)]
struct Change<'a> {
    at: u16,
    remove: u8,
    insert: &'a [u8],
}

fuzz_target!(|input: Input<'_>| run(&input));

fn run(input: &Input<'_>) {
    let (signal, mut bytes) = input.request.encode();
    let mut encoding = Encoding::Protobuf;
    if input.json {
        encoding = Encoding::Json;
        bytes = json(signal, &bytes);
    }
    change(&mut bytes, &input.inner);
    let (compression, mut bytes) = pack(input.packed, bytes);
    change(&mut bytes, &input.outer);
    let mut reserved = 0_usize;
    let mut reserve = |more: usize| {
        reserved += more;
        true
    };
    match read(signal, encoding, compression, bytes, LIMITS, &mut reserve) {
        Ok(received) => {
            let again = read(
                signal,
                Encoding::Protobuf,
                Compression::Identity,
                received.payload.clone(),
                Limits {
                    bytes: usize::MAX - 1,
                    memory: usize::MAX,
                },
                &mut |_| true,
            );
            // What was passed on unread can still turn out to be no OTLP, in the store.
            if let Ok(again) = again {
                assert_eq!(again.payload, received.payload);
                assert_eq!(again.rejected.count, 0);
            }
        }
        Err(refused) => {
            assert!(!refused.to_string().is_empty());
            assert!(!matches!(refused, Refused::Busy));
        }
    }
    // Unpacked, with zstd's window, and read.
    assert!(reserved <= LIMITS.bytes + 1 + (8 << 20) + LIMITS.memory, "{reserved}");
}

fn json(signal: Signal, bytes: &[u8]) -> Vec<u8> {
    match signal {
        Signal::Traces => serde_json::to_vec(&TracesData::decode(bytes).expect("OTLP")),
        Signal::Metrics => serde_json::to_vec(&MetricsData::decode(bytes).expect("OTLP")),
        Signal::Logs => serde_json::to_vec(&LogsData::decode(bytes).expect("OTLP")),
    }
    .expect("JSON")
}

fn pack(how: u8, bytes: Vec<u8>) -> (Compression, Vec<u8>) {
    match how % 3 {
        0 => (Compression::Identity, bytes),
        1 => {
            let level = flate2::Compression::fast();
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), level);
            packer.write_all(&bytes).expect("memory");
            (Compression::Gzip, packer.finish().expect("memory"))
        }
        _ => (Compression::Zstd, zstd::encode_all(&*bytes, 1).expect("memory")),
    }
}

fn change(bytes: &mut Vec<u8>, changes: &[Change<'_>]) {
    for change in changes {
        let at = usize::from(change.at) % (bytes.len() + 1);
        let end = (at + usize::from(change.remove % 16)).min(bytes.len());
        bytes.splice(at..end, change.insert.iter().copied());
    }
}
