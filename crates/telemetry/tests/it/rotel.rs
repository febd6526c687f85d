//! A real collector takes what we send: rotel, which prints each trace that it receives.

use crate::sample::{chat, telemetry};
use llamatelemetry_record::{RequestRecord, Sink as _, SpanId, TraceId};
use llamatelemetry_telemetry::Delivery;
use llamatelemetry_testbed::{ScratchHome, rotel, scratch_home, skip, until};
use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

struct Collector(Child);

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Collector {
    /// Starts one that listens on a port of this machine, and returns it with the port.
    fn start(program: &Path, home: &ScratchHome, log: &Path) -> (Self, u16) {
        // The agent takes no port 0: another program may take a free one before it does, and the
        // agent ends then.
        for _ in 0..10 {
            let [http, grpc] = [free_port(), free_port()];
            let output = File::create(log).expect("a log file");
            let child = home
                .command(program)
                .args(["start", "--exporter", "blackhole"])
                .args(["--debug-log", "traces"])
                .args(["--debug-log-verbosity", "detailed"])
                .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
                .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
                .stdin(Stdio::null())
                .stdout(output.try_clone().expect("the log file"))
                .stderr(output)
                .spawn()
                .expect("rotel-agent can be started");
            let mut collector = Self(child);
            let listens = until("the collector listens", Duration::from_secs(30), || {
                let ended = collector.0.try_wait().expect("a child of ours").is_some();
                let connected = TcpStream::connect(("127.0.0.1", http)).is_ok();
                (ended || connected).then_some(!ended)
            });
            if listens {
                return (collector, http);
            }
        }
        panic!("rotel-agent did not listen on any of ten ports");
    }
}

#[test]
fn a_real_collector_takes_the_spans() {
    let Some(program) = rotel() else {
        return skip("no rotel-agent (cargo xtask test installs it)");
    };
    let home = scratch_home();
    let log = home.root().join("log");
    let (_collector, http) = Collector::start(&program, &home, &log);
    for protocol in ["http/protobuf", "http/json"] {
        let record = RequestRecord {
            trace_id: TraceId::random(),
            span_id: SpanId::random(),
            ..chat()
        };
        let trace = record.trace_id.to_string();
        let telemetry = telemetry(&[
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                &format!("http://127.0.0.1:{http}"),
            ),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_SERVICE_NAME", "seen-by-rotel"),
        ]);
        telemetry.record(Arc::new(record));
        let delivery = telemetry.shutdown(Duration::from_secs(30));
        assert_eq!(
            delivery,
            Delivery {
                delivered: 4,
                undelivered: 0
            },
            "{protocol}"
        );
        until(
            "the trace in the collector's log",
            Duration::from_secs(30),
            || {
                let text = std::fs::read_to_string(&log).ok()?;
                let spans = text.matches(&trace).count();
                let names = [
                    "chat smollm2",
                    "queue",
                    "prefill",
                    "decode",
                    "seen-by-rotel",
                    "llama_cpp",
                ];
                (spans >= 4 && names.iter().all(|name| text.contains(name))).then_some(())
            },
        );
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}
