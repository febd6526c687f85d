//! Hosts that do not answer, proxies, offline mode.

use crate::bench::{PATIENCE, bench, bytes, download, fetcher, sha256};
use llamatelemetry_fetch::{Download, FetchError, Fetcher, Patience};
use llamatelemetry_progress::Silent;
use llamatelemetry_settings::Environment;
use llamatelemetry_testbed::{Faults, Served, scratch_home};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const GIVE_UP: Duration = Duration::from_millis(1500);

fn silent() -> Served {
    Served::default().with(Faults {
        silent: true,
        ..Faults::default()
    })
}

#[test]
fn a_host_that_refuses_fails_at_once_and_is_not_asked_again() {
    let bench = bench();
    // A port that nobody listens on: it was free a moment ago and is held by nobody else's test.
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let fetcher = bench.fetcher();
    let url = format!("http://{closed}/f");
    let begun = Instant::now();
    let error = fetcher.get(&url, &[], 10).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(2));
    let FetchError::Unreachable { host, reason, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(host, &closed.to_string());
    assert!(reason.contains("refused"), "{reason}");
    // Even if it listens now, this process has given it up.
    let _listener = TcpListener::bind(closed).unwrap();
    let again = fetcher.get(&url, &[], 10).unwrap_err();
    assert_eq!(again.to_string(), error.to_string());
}

#[test]
fn silent_hosts_share_one_budget() {
    let bench = bench();
    bench.server.put("/s", silent());
    let second = crate::bench::bench();
    second.server.put("/s", silent());
    let mut settings = bench.settings();
    settings.network.give_up_after = GIVE_UP;
    let fetcher = fetcher(&settings);
    let begun = Instant::now();
    let one = fetcher.get(&bench.server.url("/s"), &[], 10).unwrap_err();
    let two = fetcher.get(&second.server.url("/s"), &[], 10).unwrap_err();
    let three = fetcher
        .get(&bench.server.url_by_name("/s"), &[], 10)
        .unwrap_err();
    let elapsed = begun.elapsed();
    assert!(elapsed >= GIVE_UP, "{elapsed:?}");
    assert!(elapsed < GIVE_UP * 2, "{elapsed:?}");
    // Whichever clock is first.
    assert!(one.to_string().contains("answer"), "{one}");
    assert!(!one.to_string().contains("are spent"), "{one}");
    assert!(two.to_string().contains("are spent"), "{two}");
    assert!(three.to_string().contains("are spent"), "{three}");
    assert!(second.server.seen().is_empty());
}

#[test]
fn the_budget_is_one_for_all_fetchers_of_a_process() {
    let bench = bench();
    bench.server.put("/s", silent());
    let mut settings = bench.settings();
    settings.network.give_up_after = GIVE_UP;
    let fetchers: Vec<Fetcher> = (0..3).map(|_| Fetcher::new(&settings).unwrap()).collect();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for fetcher in &fetchers {
            scope.spawn(|| fetcher.get(&bench.server.url("/s"), &[], 10).unwrap_err());
        }
    });
    assert!(begun.elapsed() < GIVE_UP * 2, "{:?}", begun.elapsed());
}

#[test]
fn a_host_that_has_answered_keeps_ordinary_patience() {
    let bench = bench();
    let slow = Served::new(b"slow".to_vec()).with(Faults {
        delay: GIVE_UP + Duration::from_millis(100),
        ..Faults::default()
    });
    bench.server.put("/slow", slow);
    bench.server.put("/quick", Served::new(b"quick".to_vec()));
    let mut settings = bench.settings();
    settings.network.give_up_after = GIVE_UP;
    let fetcher = fetcher(&settings).with_patience(Patience {
        stall: 2 * GIVE_UP,
        attempts: 2,
        ..PATIENCE
    });
    fetcher.get(&bench.server.url("/quick"), &[], 10).unwrap();
    let reply = fetcher.get(&bench.server.url("/slow"), &[], 10).unwrap();
    assert_eq!(reply.body, b"slow");
    // But not endless patience.
    bench.server.put("/slow", silent());
    let begun = Instant::now();
    let error = fetcher
        .get(&bench.server.url("/slow"), &[], 10)
        .unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
    assert!(begun.elapsed() < 6 * GIVE_UP, "{:?}", begun.elapsed());
}

#[test]
fn a_name_that_nobody_knows_is_given_up_in_time() {
    let bench = bench();
    let mut settings = bench.settings();
    settings.network.give_up_after = Duration::from_secs(2);
    let begun = Instant::now();
    let url = "http://no-such-host.invalid/f";
    let error = fetcher(&settings).get(url, &[], 10).unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn offline_mode_contacts_nobody_but_uses_what_is_here() {
    let bench = bench();
    let content = bytes(1000, 50);
    bench.server.put("/f", Served::new(content.clone()));
    let mut settings = bench.settings();
    settings.network.offline = true;
    let fetcher = fetcher(&settings);
    let download = Download {
        sha256: Some(sha256(&content)),
        ..bench.download("/f?secret=x")
    };
    let error = fetcher.fetch(&download, &Silent).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "offline mode is on, so this was not fetched: {}",
            bench.server.url("/f?secret=…")
        )
    );
    let error = fetcher.get(&download.url, &[], 10).unwrap_err();
    assert!(matches!(error, FetchError::Offline { .. }));
    std::fs::create_dir_all(download.target.parent().unwrap()).unwrap();
    std::fs::write(&download.target, &content).unwrap();
    assert_eq!(
        fetcher.fetch(&download, &Silent).unwrap().bytes_reused,
        1000
    );
    assert!(bench.server.seen().is_empty());
}

#[test]
fn the_proxy_of_the_environment_is_used_and_its_exceptions_are_not() {
    let bench = bench();
    let content = bytes(1000, 51);
    bench.server.put("/f", Served::new(content.clone()));
    let proxy = format!("http://me:pw@{}", bench.server.address());
    let scratch = scratch_home()
        .with("http_proxy", &proxy)
        .with("no_proxy", "direct.invalid");
    let fetcher = fetcher(&scratch.settings());
    let wanted = download("http://files.invalid/f".to_owned(), bench.target("file"));
    let fetched = fetcher.fetch(&wanted, &Silent).unwrap();
    assert_eq!(fetched.sha256, sha256(&content));
    let seen = bench.server.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].path.as_str()),
        ("CONNECT", "files.invalid:80")
    );
    assert_eq!(seen[0].headers["proxy-authorization"], "Basic bWU6cHc=");
    assert_eq!(seen[1].headers["host"], "files.invalid");
    bench.server.forget();
    let error = fetcher.get("http://direct.invalid/f", &[], 10).unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
    assert!(bench.server.seen().is_empty());
}

#[test]
fn certificates_that_are_named_must_be_there() {
    let scratch = scratch_home();
    let mut settings = scratch.settings();
    settings.environment = Environment::from_pairs([("SSL_CERT_FILE", "/nonexistent.pem")]);
    let error = fetcher(&settings)
        .get("https://host.invalid/", &[], 10)
        .unwrap_err();
    assert!(matches!(error, FetchError::Network(_)), "{error}");
}
