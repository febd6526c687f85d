//! Files as no writer would write them, and yet right by their checksums: what lies behind the
//! checksums is to be fuzzed too. Built for the fuzz targets alone.

use crate::Signal;
use crate::block::{BlockMeta, Builders, Built, Chunk, Packing};
use crate::codec::{put, put_bytes};
use crate::otlp::Request;
use crate::{file, journal};
use xxhash_rust::xxh3::xxh3_64;

/// What of a file is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A chunk as it is before it is compressed.
    Chunk,
    /// A chunk as it stands in the file.
    Packed,
    /// The footer of a block.
    Footer,
    /// The file's directory.
    Directory,
}

/// One change.
#[derive(Debug, Clone)]
pub struct Change {
    /// What is changed.
    pub part: Part,
    /// Which one of them, counted round.
    pub which: usize,
    /// Where, counted round from its beginning.
    pub at: usize,
    /// Bytes that go.
    pub remove: usize,
    /// Bytes that come instead.
    pub insert: Vec<u8>,
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let at = self.at % (bytes.len() + 1);
        let end = at.saturating_add(self.remove).min(bytes.len());
        bytes.splice(at..end, self.insert.iter().copied());
    }
}

/// A file of blocks that holds these requests and says that it replaces others. What is no OTLP is
/// left out.
pub fn blocks(requests: &[(Signal, Vec<u8>)], replaces: &[&str], changes: &[Change]) -> Vec<u8> {
    let mut builders = Builders::new();
    for (signal, bytes) in requests {
        if let Ok(mut request) = Request::decode(*signal, bytes) {
            request.feed(&mut builders);
        }
    }
    let blocks: Vec<_> = builders
        .finish(Packing::Disk)
        .filter_map(Result::ok)
        .collect();
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    put(&mut directory, blocks.len() as u64);
    let count = blocks.len();
    let of = |part: Part, place: usize, count: usize| {
        let chosen = move |change: &&Change| change.part == part && change.which % count == place;
        changes.iter().filter(chosen)
    };
    for (place, block) in blocks.into_iter().enumerate() {
        let Built {
            bytes,
            mut meta,
            traces,
        } = block;
        let start = out.len();
        relay(&bytes, &mut meta, &mut out, &of);
        let footer_start = out.len();
        let mut footer = meta.encode();
        of(Part::Footer, place, count).for_each(|change| change.apply(&mut footer));
        out.extend_from_slice(&footer);
        for number in [
            u64::from(meta.signal.code()),
            meta.rows as u64,
            meta.oldest,
            meta.newest,
            start as u64,
            footer_start as u64,
            footer.len() as u64,
        ] {
            put(&mut directory, number);
        }
        directory.extend_from_slice(&xxh3_64(&footer).to_le_bytes());
        put_bytes(&mut directory, &traces);
    }
    put(&mut directory, replaces.len() as u64);
    for name in replaces {
        put_bytes(&mut directory, name.as_bytes());
    }
    of(Part::Directory, 0, 1).for_each(|change| change.apply(&mut directory));
    out.extend_from_slice(&file::sealed(directory));
    out
}

/// Writes a block's chunks anew, with the changes to them.
fn relay<'a, I: Iterator<Item = &'a Change>>(
    bytes: &[u8],
    meta: &mut BlockMeta,
    out: &mut Vec<u8>,
    of: &impl Fn(Part, usize, usize) -> I,
) {
    let start = out.len();
    let chunks = chunks_mut(meta);
    let count = chunks.len();
    for (place, chunk) in chunks.into_iter().enumerate() {
        let mut packed = bytes[chunk.start..chunk.start + chunk.length].to_vec();
        let mut inner = of(Part::Chunk, place, count).peekable();
        if inner.peek().is_some() {
            if chunk.unpacked != chunk.length
                && let Ok(unpacked) = zstd::bulk::decompress(&packed, chunk.unpacked)
            {
                packed = unpacked;
            }
            inner.for_each(|change| change.apply(&mut packed));
            chunk.unpacked = packed.len();
        }
        of(Part::Packed, place, count).for_each(|change| change.apply(&mut packed));
        chunk.start = out.len() - start;
        chunk.length = packed.len();
        chunk.checksum = xxh3_64(&packed);
        out.extend_from_slice(&packed);
    }
}

/// Every chunk of a block, the one at whose end it ends last.
fn chunks_mut(meta: &mut BlockMeta) -> Vec<&mut Chunk> {
    let attributes = meta.attributes.iter_mut().map(|(_, _, column)| column);
    let columns = meta.numbers.iter_mut().chain(&mut meta.texts);
    let mut all = vec![&mut meta.shape, &mut meta.filter];
    for column in columns.chain(attributes) {
        all.push(&mut column.values);
        all.extend(column.dictionary.as_mut().map(|(chunk, _)| chunk));
    }
    all.extend(meta.pages.iter_mut().map(|page| &mut page.chunk));
    all.push(&mut meta.rollups);
    all
}

/// A journal of these payloads, whatever they are.
pub fn journal(payloads: &[(Signal, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (signal, payload) in payloads {
        journal::frame(*signal, payload, &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Condition, Literal, Query, Reader};
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message as _;
    use std::path::Path;

    fn attribute(key: &str, value: Value) -> KeyValue {
        KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
            ..KeyValue::default()
        }
    }

    fn sample() -> Vec<(Signal, Vec<u8>)> {
        let list = format!("[{}]", [r#"{"content": "one of them"}"#; 8].join(", "));
        let attributes = vec![
            attribute("model", Value::StringValue("smollm2".into())),
            attribute("messages", Value::StringValue(list)),
            attribute("tokens", Value::IntValue(48)),
        ];
        let span = |time| Span {
            start_time_unix_nano: time,
            trace_id: vec![1; 16],
            name: "chat".into(),
            attributes: attributes.clone(),
            ..Span::default()
        };
        let record = LogRecord {
            severity_number: 9,
            attributes: attributes.clone(),
            ..LogRecord::default()
        };
        let traces = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans: vec![ScopeSpans {
                    spans: (0..4).map(span).collect(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let logs = ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                scope_logs: vec![ScopeLogs {
                    log_records: vec![record],
                    ..ScopeLogs::default()
                }],
                ..ResourceLogs::default()
            }],
        };
        vec![
            (Signal::Traces, traces.encode_to_vec()),
            (Signal::Logs, logs.encode_to_vec()),
        ]
    }

    /// Asks the store; gives the rows that can be read and how much was named as damaged.
    fn ask(folder: &Path) -> (usize, usize) {
        let snapshot = Reader::open(folder).unwrap().snapshot().unwrap();
        snapshot.rollups(None).unwrap();
        let (mut rows, mut damaged) = (0, snapshot.damaged().len());
        for signal in Signal::ALL {
            for condition in [
                Condition::Has("messages".into()),
                Condition::Holds("one of".into()),
                Condition::Attribute("model".into(), Literal("smollm2".into())),
                Condition::Trace([1; 16]),
            ] {
                let query = Query {
                    conditions: vec![condition],
                    limit: Some(2),
                    ..Query::default()
                };
                snapshot.find(signal, &query).unwrap();
            }
            let mut found = snapshot.find(signal, &Query::default()).unwrap();
            rows += match signal {
                Signal::Traces => found.traces().unwrap().encoded_len().min(1),
                Signal::Metrics => found.metrics().unwrap().encoded_len().min(1),
                Signal::Logs => found.logs().unwrap().encoded_len().min(1),
            };
            damaged += found.damaged.len();
        }
        (rows, damaged)
    }

    /// Numbers as they stand in footers and columns: none, few, many, and the largest.
    const NUMBERS: [&[u8]; 5] = [
        &[0],
        &[0x7f],
        &[0xff, 0xff, 0xff, 0x7f],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0x1f],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
    ];

    #[test]
    fn what_is_wrong_behind_right_checksums_is_read_or_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blocks/1.blocks");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let requests = sample();
        std::fs::write(&path, blocks(&requests, &[], &[])).unwrap();
        assert_eq!(ask(folder.path()), (2, 0));
        let places = [
            (Part::Chunk, 0..50, 0..3),
            (Part::Packed, 0..50, 0..2),
            (Part::Footer, 0..2, 0..600),
            (Part::Directory, 0..1, 0..60),
        ];
        let mut named = 0;
        for (part, which, at) in places {
            for which in which {
                for at in at.clone() {
                    let change = Change {
                        part,
                        which,
                        at,
                        remove: 1,
                        insert: NUMBERS[(at + which) % NUMBERS.len()].to_vec(),
                    };
                    std::fs::write(&path, blocks(&requests, &[], &[change])).unwrap();
                    named += usize::from(ask(folder.path()).1 > 0);
                }
            }
        }
        assert!(named > 500, "{named}");
    }

    #[test]
    fn a_file_that_replaces_what_is_not_the_stores_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("store/blocks")).unwrap();
        let (store, other) = (folder.path().join("store"), folder.path().join("1.blocks"));
        std::fs::write(&other, b"another's").unwrap();
        for name in ["../1.blocks", "blocks/../../1.blocks"] {
            let bytes = blocks(&sample(), &[name], &[]);
            std::fs::write(store.join("blocks/1.blocks"), bytes).unwrap();
            assert_eq!(ask(&store), (0, 1), "{name}");
            crate::compact(&store, crate::Retention::default()).unwrap();
            assert!(other.exists(), "{name}");
        }
    }

    #[test]
    fn a_frame_that_is_no_otlp_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let segment = folder.path().join("segments/1");
        std::fs::create_dir_all(&segment).unwrap();
        let mut requests = sample();
        requests.insert(1, (Signal::Traces, vec![0xff; 3]));
        std::fs::write(segment.join("1.journal"), journal(&requests)).unwrap();
        assert_eq!(ask(folder.path()), (2, 1));
    }
}
