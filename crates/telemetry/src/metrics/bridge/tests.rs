use super::*;
use crate::config::MetricsExport;
use crate::metrics::Format;
use llamatelemetry_record::ContextPool;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// A server that answers as it is told and keeps book of what it was asked.
#[derive(Debug)]
struct Server {
    run: AtomicU64,
    sleeps: bool,
    answers: Mutex<Vec<(&'static str, String)>>,
    asked: Mutex<Vec<String>>,
}

impl Server {
    fn new(sleeps: bool) -> Arc<Self> {
        Arc::new(Self {
            run: AtomicU64::new(1),
            sleeps,
            answers: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    fn says(&self, sleeping: bool, decodes: u32, processing: u32) {
        *self.answers.lock().unwrap() = vec![
            ("/props", format!("{{\"is_sleeping\":{sleeping}}}")),
            (
                "/metrics",
                format!(
                    "llamacpp:n_decode_total {decodes}\nllamacpp:requests_processing {processing}\n"
                ),
            ),
            (
                "/slots",
                r#"[{"id":0,"n_ctx":64,"is_processing":true,"n_prompt_tokens":16}]"#.into(),
            ),
        ];
    }

    fn asked(&self, path: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| *asked == path).count()
    }
}

impl ServedModel for Server {
    fn model(&self) -> &'static str {
        "m"
    }

    fn run(&self) -> Option<u64> {
        Some(self.run.load(Ordering::Relaxed)).filter(|run| *run > 0)
    }

    fn may_sleep(&self) -> bool {
        self.sleeps
    }

    fn context(&self) -> ContextPool {
        ContextPool::PerSlot
    }

    fn get(&self, path: &str) -> io::Result<Vec<u8>> {
        self.asked.lock().unwrap().push(path.to_owned());
        let answers = self.answers.lock().unwrap();
        let answer = answers.iter().find(|(known, _)| *known == path);
        let answer = answer.ok_or(io::ErrorKind::NotFound)?;
        Ok(answer.1.clone().into_bytes())
    }
}

fn watch(server: &Arc<Server>) -> (Watched, Metrics) {
    let model: Arc<dyn ServedModel> = server.clone();
    let metrics = Metrics::new(crate::Profile::Latest, &MetricsExport::default());
    (Watched::new(&model), metrics)
}

fn told(metrics: &Metrics, line: &str) -> bool {
    let text = metrics.prometheus(Format::Classic);
    text.lines().any(|told| told == line)
}

const DECODES: &str = "llamacpp_server_decodes_total{gen_ai_request_model=\"m\"}";

#[test]
fn a_restart_goes_on_counting() {
    let server = Server::new(false);
    let (mut watched, metrics) = watch(&server);
    server.says(false, 7, 0);
    assert_eq!(watched.look(&metrics), Look::Busy, "it worked before");
    assert_eq!(watched.look(&metrics), Look::Quiet);
    assert!(told(&metrics, &format!("{DECODES} 7")));
    server.run.store(0, Ordering::Relaxed);
    assert_eq!(watched.look(&metrics), Look::Quiet);
    assert!(told(&metrics, &format!("{DECODES} 7")));
    assert!(
        !metrics
            .prometheus(Format::Classic)
            .contains("requests_processing")
    );
    server.run.store(2, Ordering::Relaxed);
    server.says(false, 9, 1);
    assert_eq!(watched.look(&metrics), Look::Busy);
    assert!(told(&metrics, &format!("{DECODES} 16")));
}

#[test]
fn slots_of_a_model_that_may_sleep_are_left_alone_unless_it_works() {
    let server = Server::new(true);
    let (mut watched, metrics) = watch(&server);
    for (sleeping, processing) in [(true, 0), (false, 0), (true, 3)] {
        server.says(sleeping, 1, processing);
        watched.look(&metrics);
    }
    assert_eq!(server.asked("/slots"), 0);
    server.says(false, 2, 1);
    watched.look(&metrics);
    assert_eq!(server.asked("/slots"), 1);
    assert!(told(
        &metrics,
        "llamacpp_kv_cache_utilization_ratio{gen_ai_request_model=\"m\"} 0.25"
    ));
    // Again within two seconds: not asked.
    watched.look(&metrics);
    assert_eq!(server.asked("/slots"), 1);
    server.says(true, 2, 0);
    watched.look(&metrics);
    assert!(!metrics.prometheus(Format::Classic).contains("kv_cache"));
    assert!(told(
        &metrics,
        "llamacpp_server_sleeping{gen_ai_request_model=\"m\"} 1"
    ));
}

#[test]
fn slots_of_a_model_that_never_sleeps_are_looked_at_once_more_after_its_work() {
    let server = Server::new(false);
    let (mut watched, metrics) = watch(&server);
    server.says(false, 1, 0);
    watched.look(&metrics);
    assert_eq!(server.asked("/slots"), 1);
    watched.look(&metrics);
    assert_eq!(server.asked("/slots"), 1, "nothing moved");
}

#[test]
fn who_is_dropped_is_forgotten() {
    let server = Server::new(false);
    let (mut watched, metrics) = watch(&server);
    server.says(false, 1, 1);
    watched.look(&metrics);
    drop(server);
    assert_eq!(watched.look(&metrics), Look::Gone);
    let text = metrics.prometheus(Format::Classic);
    assert!(
        !text.contains("kv_cache") && !text.contains("processing"),
        "{text}"
    );
    assert!(told(&metrics, &format!("{DECODES} 1")), "counters stay");
}

#[test]
fn the_last_look_sees_what_was_counted_since_the_one_before() {
    let server = Server::new(false);
    server.says(false, 7, 0);
    let metrics = Metrics::new(crate::Profile::Latest, &MetricsExport::default());
    let metrics = Arc::new(metrics);
    let bridge = Bridge::new();
    let soon = || Instant::now() + Duration::from_secs(20);
    bridge.look_last(soon());
    let model: Arc<dyn ServedModel> = server.clone();
    bridge.watch(&model, &metrics);
    bridge.look_last(soon());
    assert!(told(&metrics, &format!("{DECODES} 7")));
    server.says(false, 9, 0);
    bridge.look_last(soon());
    assert!(told(&metrics, &format!("{DECODES} 9")));
}
