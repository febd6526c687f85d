//! What cannot be sent waits on disk: through a dead collector, and through our own death.

use crate::receiver::{Receiver, Reply};
use crate::sample::{NOBODY, chat, content, settings};
use llamatelemetry_record::{RequestRecord, Sink as _, SpanId, TraceId};
use llamatelemetry_settings::{ByteSize, Environment, Flags, Settings, resolve};
use llamatelemetry_telemetry::{Delivery, ResourceFacts, Telemetry};
use llamatelemetry_testbed::until;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);

fn start(settings: &Settings) -> Telemetry {
    Telemetry::setup(settings, ResourceFacts::default(), None).expect("set up")
}

fn one() -> Arc<RequestRecord> {
    Arc::new(RequestRecord {
        trace_id: TraceId::random(),
        span_id: SpanId::random(),
        ..chat()
    })
}

fn files(home: &Path) -> Vec<PathBuf> {
    let folder = fs::read_dir(home.join("telemetry/spool")).expect("the spool's folder");
    folder
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

/// An address that nobody listens on now, and the listener that can take it.
struct Address(std::net::SocketAddr);

impl Address {
    /// Free now. Another program may take it; the test's receiver then fails to start, loudly.
    fn free() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        Self(listener.local_addr().expect("an address"))
    }

    fn url(&self) -> String {
        format!("http://{}", self.0)
    }
}

#[test]
fn what_one_program_leaves_the_next_one_sends() {
    let address = Address::free();
    let (home, settings) = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &address.url())]);
    let first = start(&settings);
    for _ in 0..10 {
        first.record(one());
    }
    let left = Delivery {
        kept: 40,
        ..Delivery::default()
    };
    assert_eq!(first.shutdown(Duration::from_secs(2)), left);
    let loss = first.loss().expect("nothing was delivered");
    assert!(loss.starts_with("40 of 40 spans wait on disk"), "{loss}");
    drop(first);
    assert_eq!(files(home.home().root()).len(), 1);

    let receiver = Receiver::start_at(address.0, &[Reply::ok()]);
    let second = start(&settings);
    assert!(second.flush(LONG));
    assert_eq!(second.delivery().delivered, 40);
    assert_eq!(receiver.next().spans().len(), 40);
    drop(second);
    assert!(
        files(home.home().root()).is_empty(),
        "what is sent is removed"
    );
}

#[test]
fn a_collector_that_comes_back_gets_everything() {
    let address = Address::free();
    let (_home, settings) = settings(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &address.url()),
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
    ]);
    let telemetry = start(&settings);
    telemetry.record(one());
    until("a failed attempt", LONG, || {
        telemetry.loss().filter(|loss| loss.contains("refused"))
    });
    let receiver = Receiver::start_at(address.0, &[Reply::ok()]);
    telemetry.record(one());
    until("both delivered", LONG, || {
        (telemetry.delivery().delivered == 8).then_some(())
    });
    assert_eq!(receiver.next().spans().len(), 8);
    assert_eq!(telemetry.loss(), None);
}

#[test]
fn another_address_leaves_the_files_alone() {
    let (home, settings_one) =
        settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{NOBODY}"))]);
    let first = start(&settings_one);
    first.record(one());
    first.shutdown(Duration::from_millis(500));
    drop(first);
    let receiver = Receiver::start(&[Reply::ok()]);
    let mut settings = settings_one.clone();
    settings
        .telemetry
        .otel
        .insert("OTEL_EXPORTER_OTLP_ENDPOINT".into(), receiver.url());
    let second = start(&settings);
    second.record(one());
    assert_eq!(second.shutdown(LONG).delivered, 4);
    drop(second);
    assert_eq!(files(home.home().root()).len(), 1);
}

#[test]
fn a_damaged_end_costs_only_itself() {
    let address = Address::free();
    let (home, settings) = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &address.url())]);
    let first = start(&settings);
    for _ in 0..3 {
        first.record(one());
    }
    first.shutdown(Duration::from_millis(500));
    drop(first);
    let [file] = &files(home.home().root())[..] else {
        panic!("one file");
    };
    let whole = fs::metadata(file).expect("the file").len();
    let open = fs::File::options()
        .write(true)
        .open(file)
        .expect("the file");
    open.set_len(whole - 7).expect("shorter");
    drop(open);
    let _receiver = Receiver::start_at(address.0, &[Reply::ok()]);
    assert_eq!(start(&settings).shutdown(LONG).delivered, 8);
}

#[test]
fn above_the_limit_the_newest_are_dropped_and_counted() {
    let (home, mut settings) =
        settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{NOBODY}"))]);
    settings.telemetry.spool_limit = ByteSize(64 << 10);
    let telemetry = start(&settings);
    for _ in 0..100 {
        telemetry.record(one());
    }
    let delivery = telemetry.shutdown(Duration::from_millis(500));
    assert_eq!(delivery.kept + delivery.lost, 400);
    assert!(delivery.kept > 40 && delivery.lost > 100, "{delivery:?}");
    let loss = telemetry.loss().expect("lost");
    assert!(loss.contains("of 400 spans were lost"), "{loss}");
    let bytes: u64 = files(home.home().root())
        .iter()
        .map(|file| fs::metadata(file).expect("the file").len())
        .sum();
    assert!(bytes <= 64 << 10, "{bytes}");
}

#[test]
fn without_a_folder_to_write_memory_serves_and_that_is_said() {
    let (home, settings) =
        settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{NOBODY}"))]);
    fs::create_dir_all(home.home().root()).expect("the home");
    fs::write(home.home().root().join("telemetry"), "in the way").expect("a file");
    let telemetry = start(&settings);
    assert!(telemetry.notices()[0].starts_with("nothing can be kept on disk"));
    telemetry.record(one());
    let lost = Delivery {
        lost: 4,
        ..Delivery::default()
    };
    assert_eq!(telemetry.shutdown(Duration::from_millis(500)), lost);
}

#[test]
fn keys_never_reach_the_disk() {
    let endpoint = format!("http://user:hidden-value@{NOBODY}?key=hidden-value");
    let (home, settings) = settings(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hidden-value"),
    ]);
    let telemetry = start(&settings);
    telemetry.record(Arc::new(RequestRecord {
        content: Some(content()),
        ..chat()
    }));
    assert_eq!(telemetry.shutdown(Duration::from_millis(500)).kept, 4);
    for file in files(home.home().root()) {
        let bytes = fs::read(file).expect("the file");
        assert!(!bytes.is_empty());
        assert!(!bytes.windows(12).any(|window| window == b"hidden-value"));
    }
}

/// The part of the test below that is killed. Run by itself it is told nothing and does nothing.
#[test]
fn victim() {
    let environment = Environment::from_process();
    let Some(endpoint) = environment.get("SPOOL_TEST_ENDPOINT").map(str::to_owned) else {
        return;
    };
    let resolved = resolve(environment, &Flags::default()).expect("settings");
    let mut settings = resolved.settings;
    settings.telemetry.otel = BTreeMap::from([
        ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), endpoint),
        ("OTEL_METRICS_EXPORTER".to_owned(), "none".to_owned()),
        ("OTEL_LOGS_EXPORTER".to_owned(), "none".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "1".to_owned()),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE".to_owned(), "40".to_owned()),
    ]);
    let telemetry = start(&settings);
    let mut out = std::io::stdout().lock();
    for _ in 0..100_000 {
        let records: Vec<_> = (0..10).map(|_| one()).collect();
        for record in &records {
            telemetry.record(record.clone());
        }
        assert!(telemetry.settle(LONG));
        for record in &records {
            writeln!(out, "\nsafe {}", record.trace_id).expect("a reader");
        }
    }
}

/// Runs a victim until it has so many requests safe, and kills it.
fn killed(home: &Path, endpoint: &str, after: usize) -> Vec<String> {
    let mut child: Child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "spool::victim", "--nocapture"])
        .env("SPOOL_TEST_ENDPOINT", endpoint)
        .env("LLAMATELEMETRY_HOME", home)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program again");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut safe = Vec::new();
    for line in lines {
        let Ok(line) = line else { break };
        safe.extend(line.strip_prefix("safe ").map(str::to_owned));
        if safe.len() == after {
            child.kill().expect("SIGKILL");
        }
    }
    child.wait().expect("its end");
    assert!(safe.len() >= after, "the victim ended by itself");
    safe
}

/// The traces of all spans that a receiver got: how often each span came.
fn counted(receiver: &Receiver) -> BTreeMap<String, BTreeMap<Vec<u8>, usize>> {
    let mut all: BTreeMap<String, BTreeMap<Vec<u8>, usize>> = BTreeMap::new();
    while let Some(received) = receiver.already() {
        for span in received.spans() {
            let id = <[u8; 16]>::try_from(&span.trace_id[..]).expect("16 bytes");
            let trace = all.entry(TraceId(id).to_string()).or_default();
            *trace.entry(span.span_id).or_default() += 1;
        }
    }
    all
}

#[test]
fn killed_with_the_collector_away_nothing_is_lost_and_nothing_comes_twice() {
    let address = Address::free();
    let (home, settings) = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &address.url())]);
    let mut safe = killed(home.home().root(), &address.url(), 300);
    safe.extend(killed(home.home().root(), &address.url(), 200));
    let receiver = Receiver::start_at(address.0, &[Reply::ok()]);
    let next = start(&settings);
    assert!(next.flush(LONG));
    assert_eq!(next.loss(), None);
    let got = counted(&receiver);
    for trace in &safe {
        assert_eq!(got.get(trace).map(BTreeMap::len), Some(4), "{trace}");
    }
    // Those recorded and not told to be safe before the kill may be there too, but none twice.
    assert!(
        got.values()
            .flat_map(BTreeMap::values)
            .all(|count| *count == 1)
    );
}

#[test]
fn killed_while_sending_at_most_one_batch_comes_twice() {
    let receiver = Receiver::start(&[Reply::ok()]);
    let (home, settings) = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]);
    let safe = killed(home.home().root(), &receiver.url(), 500);
    let next = start(&settings);
    assert!(next.flush(LONG));
    let got = counted(&receiver);
    for trace in &safe {
        assert_eq!(got.get(trace).map(BTreeMap::len), Some(4), "{trace}");
    }
    let twice = got
        .values()
        .flat_map(BTreeMap::values)
        .filter(|count| **count > 1)
        .count();
    assert!(twice <= 40, "{twice} spans came twice");
}

#[test]
fn what_is_kept_for_an_address_that_nobody_sends_to_any_more_expires() {
    let (home, mut settings) = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &Address::free().url())]);
    let first = start(&settings);
    first.record(one());
    first.shutdown(Duration::from_secs(2));
    drop(first);
    let kept = files(home.home().root());
    assert_eq!(kept.len(), 1);

    let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned();
    settings
        .telemetry
        .otel
        .insert(endpoint, Address::free().url());
    drop(start(&settings));
    assert_eq!(
        files(home.home().root()),
        kept,
        "another address's, and young"
    );

    let file = fs::File::options()
        .write(true)
        .open(&kept[0])
        .expect("it is there");
    let week = Duration::from_secs(8 * 24 * 60 * 60);
    file.set_modified(std::time::SystemTime::now() - week)
        .expect("its time is set");
    drop(file);
    let second = start(&settings);
    assert!(
        files(home.home().root()).is_empty(),
        "nobody has wanted it for a week"
    );
    assert_eq!(second.delivery().lost, 4);
    let loss = second.loss().expect("what expired");
    assert!(
        loss.starts_with("4 spans that were kept for other"),
        "{loss}"
    );
}

#[test]
fn a_small_limit_drops_what_others_kept_only_for_room_that_is_needed() {
    let (home, mut settings) = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &Address::free().url())]);
    let first = start(&settings);
    for _ in 0..40 {
        first.record(one());
    }
    first.shutdown(Duration::from_millis(500));
    drop(first);
    let kept = files(home.home().root());
    let [file] = &kept[..] else {
        panic!("{kept:?}");
    };
    let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT".to_owned();
    let address = Address::free().url();
    settings.telemetry.otel.insert(endpoint, address);
    // More than half of what this program may keep, and not all of it.
    let bytes = fs::metadata(file).expect("the file").len();
    settings.telemetry.spool_limit = ByteSize(bytes + bytes / 4);

    let second = start(&settings);
    second.record(one());
    assert!(second.settle(LONG));
    assert!(file.exists(), "there is room for both");
    assert_eq!(second.loss().filter(|loss| loss.contains("other")), None);
    for _ in 0..20 {
        second.record(one());
    }
    assert!(second.settle(LONG));
    assert!(!file.exists(), "there is room for one");
    let delivery = second.shutdown(Duration::from_millis(500));
    assert_eq!((delivery.kept, delivery.lost), (84, 160));
}
