//! Clients that go on asking while their server is killed, stopped, cut off and made to refuse.
//!
//! A minute of it is part of the tests; `cargo xtask soak chaos` goes on for ten.

use crate::letters::{Kept, add_model, client, expected, models, question, settings, start};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use llamatelemetry::setup_telemetry;
use llamatelemetry_record::What;
use llamatelemetry_telemetry::recorded::{Recorded, figures};
use llamatelemetry_testbed as testbed;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const CLIENTS: u64 = 16;
/// How long the clients ask, unless the soak says otherwise.
const SECONDS: u64 = 60;
const SOAK_SECONDS: &str = "LLAMATELEMETRY_TEST_SOAK_SECONDS";
/// Where the soak wants the result.
const SOAK_RESULT: &str = "LLAMATELEMETRY_TEST_SOAK_RESULT";
/// The pause between two blows.
const PAUSE: Duration = Duration::from_millis(1500);
/// How long a request may wait for a server.
const DEADLINE: Duration = Duration::from_secs(15);
/// No request takes longer than its wait, its work and the watchdog's patience, twice.
const HANG: Duration = Duration::from_secs(45);
/// The memory of this program, clients and gateway together, may grow by so much.
const GROWTH: u64 = 24 << 20;

/// Requests of the quiet run: one for each letter.
const QUIET: usize = 26;

/// How one request ended, as its client saw it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Right,
    /// An answer with a status that is an error, in the form of one.
    Refused(u16),
    /// A stream that ended with an error event; what came before was right.
    CutOff,
}

/// What is done to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Blow {
    Kill,
    Stop,
    RemoveSocket,
    Refuse,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_request_ends_in_a_right_answer_or_a_clean_error() {
    let length = variable(SOAK_SECONDS).and_then(|text| text.parse().ok());
    let length = Duration::from_secs(length.unwrap_or(SECONDS));
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings();
    add_model(&mut settings, folder.path(), 3);
    settings.server.parallel = Some(4);
    settings.server.context = Some(8192);
    settings.serve.stall_limit = Duration::from_secs(2);
    settings.serve.deadline = DEADLINE;
    let home = testbed::scratch_home();
    let telemetry = setup_telemetry(&home.settings(), Box::new(std::io::sink())).unwrap();
    let sink = Arc::new(Kept::before(telemetry.sink()));
    let gateway = start(settings, &sink).await;
    let address = gateway.address();
    // A quiet run: the answers to compare with.
    for after in 'a'..='z' {
        let quiet = answer(address, after, 200, false).await.unwrap();
        assert_eq!(quiet, (Outcome::Right, expected(3, after, 200)));
    }
    let end = Instant::now() + length;
    let mut asking = JoinSet::new();
    for number in 0..CLIENTS {
        asking.spawn(ask_until(address, number, end));
    }
    let mut beating = JoinSet::new();
    beating.spawn(beat_until(client(&gateway), end));
    let settled = async {
        // By then every path has been taken and caches are full.
        tokio::time::sleep(length / 3).await;
        resident()
    };
    let before = settled.await;
    let mut outcomes: BTreeMap<Outcome, u64> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let mut slowest = Duration::ZERO;
    while let Some(asked) = asking.join_next().await {
        for asked in asked.unwrap() {
            *outcomes.entry(asked.outcome).or_default() += 1;
            assert!(ids.insert(asked.id), "one id, one request");
            slowest = slowest.max(asked.took);
        }
    }
    let blows = beating.join_next().await.unwrap().unwrap();
    let after = resident();
    let total: u64 = outcomes.values().sum();
    let records = sink.await_records(QUIET + ids.len()).await;
    let failed = records.iter().filter(|record| record.failure.is_some());
    let failed = failed.count() as u64;
    let right = outcomes.get(&Outcome::Right).copied().unwrap_or(0);
    let resent = records.iter().filter(|record| record.resends > 0).count();
    let restarts = sink.happenings().into_iter();
    let restarts = restarts.filter(|what| matches!(what.what, What::Restart { .. }));
    let restarts = restarts.count();
    gateway.drain(Duration::from_secs(10)).await;
    let lost = telemetry.shutdown(Duration::from_secs(10));
    let mut store = Recorded::open(&home.home().store()).unwrap();
    let stored = figures(&store.totals(None).unwrap());
    let stored_requests: u64 = stored.iter().map(|figures| figures.requests).sum();
    let stored_errors: u64 = stored.iter().map(|figures| figures.errors).sum();
    let result = json!({
        "seconds": length.as_secs(),
        "clients": CLIENTS,
        "requests": total,
        "outcomes": outcomes.iter().map(|(outcome, count)| (format!("{outcome:?}"), json!(count)))
            .collect::<serde_json::Map<_, _>>(),
        "blows": blows.iter().map(|(blow, count)| (format!("{blow:?}"), json!(count)))
            .collect::<serde_json::Map<_, _>>(),
        "restarts": restarts,
        "sent_again": resent,
        "records": records.len() - QUIET,
        "failed_records": failed,
        "stored": stored_requests - QUIET as u64,
        "stored_failed": stored_errors,
        "slowest_ms": u64::try_from(slowest.as_millis()).unwrap(),
        "memory_bytes": { "after_a_third": before, "at_the_end": after },
    });
    let text = serde_json::to_string_pretty(&result).unwrap();
    if let Some(file) = variable(SOAK_RESULT) {
        std::fs::write(file, format!("{text}\n")).unwrap();
    }
    let struck: u64 = blows.values().sum();
    assert!(
        struck >= length.as_secs() / 10 && blows.len() == 4,
        "{text}"
    );
    assert_eq!(failed, total - right, "{text}");
    assert!(lost.is_none(), "{}", lost.unwrap());
    assert_eq!(stored_requests, total + QUIET as u64, "{text}");
    assert_eq!(stored_errors, failed, "{text}");
    assert!(right * 2 > total, "most requests are answered: {text}");
    assert!(slowest < HANG, "{text}");
    assert!(restarts as u64 >= struck / 4, "{text}");
    assert!(after.saturating_sub(before) < GROWTH, "{text}");
    // Each failure says how the server ended, or why there was none.
    for record in &records {
        if let Some(failure) = &record.failure {
            assert!(!failure.kind.is_empty() && !failure.message.is_empty());
        }
    }
}

fn variable(name: &str) -> Option<String> {
    let environment = llamatelemetry_settings::Environment::from_process();
    environment.get_os(name)?.to_str().map(str::to_owned)
}

/// Bytes of memory that this program holds.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kibibytes = line.split_whitespace().nth(1).unwrap();
    kibibytes.parse::<u64>().unwrap() * 1024
}

/// One request, as its client saw it.
struct Seen {
    id: String,
    outcome: Outcome,
    took: Duration,
}

async fn ask_until(address: SocketAddr, number: u64, end: Instant) -> Vec<Seen> {
    let mut random = Random(number);
    let mut seen = Vec::new();
    while Instant::now() < end {
        let after = char::from(b'a' + u8::try_from(random.below(26)).unwrap());
        let tokens = 20 + usize::try_from(random.below(180)).unwrap();
        let stream = random.below(2) == 0;
        let begun = Instant::now();
        let asking = request(address, after, tokens, stream);
        let (id, outcome, text) = tokio::time::timeout(HANG, asking)
            .await
            .expect("a request hangs")
            .expect("the gateway itself broke a connection");
        let expected = expected(3, after, tokens);
        match outcome {
            Outcome::Right => assert_eq!(text, expected),
            Outcome::CutOff => assert!(expected.starts_with(&text), "{text} of {expected}"),
            Outcome::Refused(_) => assert!(text.is_empty()),
        }
        seen.push(Seen {
            id,
            outcome,
            took: begun.elapsed(),
        });
    }
    seen
}

async fn answer(
    address: SocketAddr,
    after: char,
    tokens: usize,
    stream: bool,
) -> anyhow::Result<(Outcome, String)> {
    let (_, outcome, text) = request(address, after, tokens, stream).await?;
    Ok((outcome, text))
}

/// Sends one request on a connection of its own and reads its answer strictly: anything that is
/// neither a whole answer nor an error in due form fails the test.
async fn request(
    address: SocketAddr,
    after: char,
    tokens: usize,
    stream: bool,
) -> anyhow::Result<(String, Outcome, String)> {
    let socket = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let body = question("letters-3", after, tokens, stream).to_string();
    let request = http::Request::post("/v1/completions")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Full::new(bytes::Bytes::from(body)))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let id = response.headers()["x-request-id"].to_str()?.to_owned();
    let body = response.into_body().collect().await?.to_bytes();
    drop(driver);
    if !status.is_success() {
        let error: Value = serde_json::from_slice(&body)?;
        anyhow::ensure!(error["error"]["message"].is_string(), "{error}");
        anyhow::ensure!(matches!(status.as_u16(), 502 | 503), "{status}: {error}");
        return Ok((id, Outcome::Refused(status.as_u16()), String::new()));
    }
    let whole = std::str::from_utf8(&body)?;
    let (outcome, text) = if stream {
        read_stream(whole)?
    } else {
        let answer: Value = serde_json::from_str(whole)?;
        let text = answer["choices"][0]["text"].as_str().unwrap_or_default();
        (Outcome::Right, text.to_owned())
    };
    Ok((id, outcome, text))
}

fn read_stream(whole: &str) -> anyhow::Result<(Outcome, String)> {
    let mut text = String::new();
    let mut outcome = None;
    for event in whole.split("\n\n").filter(|event| !event.is_empty()) {
        anyhow::ensure!(outcome.is_none(), "something follows the end: {event}");
        let Some(data) = event.strip_prefix("data: ") else {
            anyhow::bail!("no event: {event}");
        };
        if data == "[DONE]" {
            outcome = Some(Outcome::Right);
            continue;
        }
        let data: Value = serde_json::from_str(data)?;
        if data["error"]["message"].is_string() {
            outcome = Some(Outcome::CutOff);
        }
        text.push_str(data["choices"][0]["text"].as_str().unwrap_or_default());
    }
    let Some(outcome) = outcome else {
        anyhow::bail!("a stream without an end: {whole}");
    };
    Ok((outcome, text))
}

/// Strikes the server again and again.
async fn beat_until(client: llamatelemetry_api::Client, end: Instant) -> BTreeMap<Blow, u64> {
    let mut blows = BTreeMap::new();
    let kinds = [Blow::Kill, Blow::Stop, Blow::RemoveSocket, Blow::Refuse];
    let mut turn = 0;
    while Instant::now() + PAUSE < end {
        tokio::time::sleep(PAUSE).await;
        let pid = models(&client).await[0]["pids"][0].as_u64();
        let blow = kinds[turn % kinds.len()];
        if let Some(pid) = pid
            && strike(blow, pid)
        {
            *blows.entry(blow).or_default() += 1;
            turn += 1;
        }
    }
    blows
}

/// Whether the blow met: the server may have ended just before.
fn strike(blow: Blow, pid: u64) -> bool {
    match blow {
        Blow::Kill => signal("KILL", pid),
        Blow::Stop => signal("STOP", pid),
        Blow::RemoveSocket => socket(pid).is_some_and(|path| std::fs::remove_file(path).is_ok()),
        Blow::Refuse => {
            // Nobody listens on a socket whose listener was closed, and its file stays.
            let Some(path) = socket(pid) else {
                return false;
            };
            std::fs::remove_file(&path).is_ok()
                && std::os::unix::net::UnixListener::bind(&path).is_ok()
        }
    }
}

fn signal(name: &str, pid: u64) -> bool {
    let command = format!("kill -{name} {pid}");
    let status = Command::new("sh").arg("-c").arg(command).status();
    status.is_ok_and(|status| status.success())
}

/// The socket that a server listens on, by its command line.
fn socket(pid: u64) -> Option<PathBuf> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut arguments = line.split(|byte| *byte == 0);
    arguments.find(|argument| *argument == b"--host")?;
    let path = std::str::from_utf8(arguments.next()?).ok()?;
    Some(PathBuf::from(path))
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % limit
    }
}
