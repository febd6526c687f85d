//! Redirects, and that no secret leaves by one, in an error or in a debug text.

use crate::bench::{MIB, bench, bytes, download, sha256};
use llamatelemetry_fetch::FetchError;
use llamatelemetry_progress::Silent;
use llamatelemetry_settings::Secret;
use llamatelemetry_testbed::{Faults, Served};

fn redirect(to: String) -> Served {
    Served::default().with(Faults {
        redirect: Some(to),
        ..Faults::default()
    })
}

fn token() -> Vec<(String, Secret)> {
    vec![("Authorization".to_owned(), Secret::new("Bearer s3cr3t"))]
}

#[test]
fn redirects_keep_secrets_on_their_host_only() {
    let bench = bench();
    let content = bytes(9 * MIB, 40);
    bench.server.put("/real", Served::new(content.clone()));
    bench
        .server
        .put("/same", redirect("/real?signed=abc".to_owned()));
    bench.server.put(
        "/other",
        redirect(bench.server.url_by_name("/real?signed=abc")),
    );
    for (path, kept) in [("/same", true), ("/other", false)] {
        bench.server.forget();
        let mut download = bench.download(path);
        download.headers = token();
        let fetched = bench.fetcher().fetch(&download, &Silent).unwrap();
        assert_eq!(fetched.sha256, sha256(&content));
        let seen = bench.server.seen();
        let (asked, real): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| seen.path == path);
        assert_eq!(
            (asked.len(), real.len()),
            (1, 3),
            "redirected once, then remembered"
        );
        assert!(asked[0].headers.contains_key("authorization"));
        for seen in real {
            assert_eq!(seen.headers.contains_key("authorization"), kept, "{path}");
        }
    }
}

#[test]
fn a_signed_address_that_expires_is_asked_for_again() {
    let bench = bench();
    let content = bytes(16 * MIB, 41);
    let real = Served::new(content.clone());
    let expiring = real.clone().with(Faults {
        becomes: Some((
            2,
            Box::new(real.with(Faults {
                statuses: vec![403],
                ..Faults::default()
            })),
        )),
        ..Faults::default()
    });
    bench.server.put("/real", expiring);
    bench.server.put("/f", redirect("/real".to_owned()));
    let fetched = bench
        .fetcher()
        .fetch(&bench.download("/f"), &Silent)
        .unwrap();
    assert_eq!(fetched.sha256, sha256(&content));
    let asked = bench
        .server
        .seen()
        .iter()
        .filter(|seen| seen.path == "/f")
        .count();
    assert!(asked >= 2, "{asked}");
}

#[test]
fn redirects_that_lead_nowhere() {
    let bench = bench();
    bench.server.put("/loop", redirect("/loop".to_owned()));
    bench
        .server
        .put("/odd", redirect("ftp://host/file".to_owned()));
    let fetch = |path| {
        bench
            .fetcher()
            .fetch(&bench.download(path), &Silent)
            .unwrap_err()
    };
    let error = fetch("/loop");
    assert!(matches!(error, FetchError::Protocol { .. }), "{error}");
    let error = fetch("/odd");
    assert!(matches!(error, FetchError::Url { .. }), "{error}");
}

#[test]
fn head_stops_at_the_answer_that_sends_elsewhere() {
    let bench = bench();
    let mut elsewhere = redirect(bench.server.url_by_name("/real"));
    elsewhere.headers = vec![("X-Linked-Size".to_owned(), "77".to_owned())];
    bench.server.put("/other", elsewhere);
    bench.server.put("/moved", redirect("/other".to_owned()));
    let reply = bench
        .fetcher()
        .head(&bench.server.url("/moved"), &token())
        .unwrap();
    assert_eq!(
        (reply.status, reply.header("x-linked-size")),
        (302, Some("77"))
    );
    assert_eq!(bench.server.seen().len(), 2);
}

#[test]
fn nothing_shows_a_secret() {
    let bench = bench();
    let address = bench
        .server
        .url("/none?token=s3cr3t")
        .replace("http://", "http://me:s3cr3t@");
    let mut wanted = download(address, bench.target("file"));
    wanted.headers = token();
    let error = bench.fetcher().fetch(&wanted, &Silent).unwrap_err();
    let seen = &bench.server.seen()[0];
    assert_eq!(
        seen.headers.get("authorization").map(String::as_str),
        Some("Bearer s3cr3t")
    );
    assert_eq!(seen.path, "/none?token=s3cr3t");
    for text in [
        error.to_string(),
        format!("{error:?}"),
        format!("{wanted:?}"),
        format!("{:?}", bench.fetcher()),
    ] {
        assert!(!text.contains("s3cr3t"), "{text}");
    }
    assert!(error.to_string().ends_with("/none?token=…"), "{error}");
    // The login in an address is sent as a header when no other is.
    wanted.headers.clear();
    bench.server.forget();
    bench.fetcher().fetch(&wanted, &Silent).unwrap_err();
    let seen = &bench.server.seen()[0];
    assert_eq!(seen.headers["authorization"], "Basic bWU6czNjcjN0");
    // A header that cannot be sent is not shown either.
    wanted.headers = vec![("Authorization".to_owned(), Secret::new("Bearer s3cr3t\n"))];
    let error = bench.fetcher().fetch(&wanted, &Silent).unwrap_err();
    assert!(matches!(error, FetchError::Url { .. }), "{error}");
    assert!(!format!("{error:?}").contains("s3cr3t"));
}
