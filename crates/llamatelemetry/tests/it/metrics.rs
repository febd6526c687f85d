//! llama-server's own metrics, bridged: they survive its death and let it sleep.

use crate::{greedy, kill_server, run};
use llamatelemetry::{
    Endpoints as _, InferenceEngine, LoadOptions, TelemetryHandle, setup_telemetry,
};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// An engine whose metrics can be scraped.
async fn engine(extra: &[&str]) -> (InferenceEngine, TelemetryHandle, SocketAddr) {
    llamatelemetry_testbed::runtime();
    llamatelemetry_testbed::smollm2();
    let mut settings = llamatelemetry_testbed::settings();
    settings.server.context = Some(512);
    settings.server.parallel = Some(2);
    settings.server.extra_args = extra.iter().map(|one| (*one).to_owned()).collect();
    settings.telemetry.otel = [("OTEL_TRACES_EXPORTER", "none")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    settings.telemetry.prometheus = Some(([127, 0, 0, 1], 0).into());
    let telemetry = setup_telemetry(&settings, Box::new(std::io::sink())).unwrap();
    let address = telemetry.prometheus().expect("an endpoint");
    let options = LoadOptions::new(settings).with_sink(telemetry.sink());
    let engine = InferenceEngine::load_model("smollm2", options)
        .await
        .unwrap();
    (engine, telemetry, address)
}

fn scrape(address: SocketAddr) -> String {
    let mut connection = TcpStream::connect(address).expect("the endpoint listens");
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    connection.write_all(request).expect("it reads");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("it answers");
    answer
}

/// The value of the only series of this name and, if given, this label.
fn value(text: &str, name: &str, label: &str) -> Option<f64> {
    let mut lines = text.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('{') && rest.contains(label))
    });
    lines.next()?.rsplit_once(' ')?.1.parse().ok()
}

/// Scrapes until this is there and as wanted; a counter seen on the way never goes down.
fn seen(address: SocketAddr, name: &str, wanted: impl Fn(f64) -> bool) -> f64 {
    let mut before = 0.0;
    llamatelemetry_testbed::until(name, PATIENCE, || {
        let now = value(&scrape(address), name, "")?;
        assert!(
            now >= before || !name.ends_with("_total"),
            "{name} fell from {before} to {now}"
        );
        before = now;
        wanted(now).then_some(now)
    })
}

const PREDICTED: &str = "llamacpp_server_predicted_tokens_total";

#[test]
fn counters_go_on_after_a_kill() {
    run(async {
        let (engine, _telemetry, address) = engine(&[]).await;
        engine.infer("One, two,", &greedy(8)).await.unwrap();
        let first = seen(address, PREDICTED, |tokens| tokens >= 8.0);
        // Context of two slots, one of them with what was just said.
        let used = seen(address, "llamacpp_kv_cache_usage", |tokens| tokens > 8.0);
        let room = seen(address, "llamacpp_kv_cache_limit", |_| true);
        let share = seen(address, "llamacpp_kv_cache_utilization_ratio", |_| true);
        assert!(
            (share - used / room).abs() < 1e-9,
            "{used} of {room}: {share}"
        );
        assert_eq!(room.to_string(), "512");
        let live = engine.server().live().await.unwrap();
        kill_server(&engine).await;
        live.process().wait_exit(PATIENCE).expect("it is gone");
        drop(live);
        engine.infer("One, two,", &greedy(4)).await.unwrap();
        assert_eq!(engine.server().restarts(), 1);
        seen(address, PREDICTED, |tokens| tokens >= first + 4.0);
        engine.unload().await;
        let after = value(&scrape(address), PREDICTED, "").expect("counters stay");
        assert!(after >= first + 4.0);
    });
}

#[test]
fn a_model_that_sleeps_sleeps_on() {
    run(async {
        let (engine, _telemetry, address) = engine(&["--sleep-idle-seconds", "1"]).await;
        engine.infer("One, two,", &greedy(4)).await.unwrap();
        let client = engine.server().live().await.unwrap();
        let asleep = async || client.client().props().await.unwrap().is_sleeping;
        seen(address, "llamacpp_server_sleeping", |sleeping| {
            sleeping > 0.5
        });
        for _ in 0..100 {
            let text = scrape(address);
            assert_eq!(value(&text, "llamacpp_server_sleeping", ""), Some(1.0));
            // What the bridge asks, as often as it would in many minutes.
            client.client().get("/metrics").await.unwrap();
            assert!(asleep().await);
        }
        assert!(value(&scrape(address), PREDICTED, "").is_some_and(|tokens| tokens >= 4.0));
        // Asked for an answer, it wakes and counts on.
        engine.infer("One, two,", &greedy(4)).await.unwrap();
        seen(address, PREDICTED, |tokens| tokens >= 8.0);
        engine.unload().await;
    });
}
