//! Servers that break, stall and lie.

use crate::bench::{MIB, PATIENCE, bench, bytes, sha256};
use crate::watch::Watch;
use llamatelemetry_fetch::{Download, FetchError};
use llamatelemetry_progress::Silent;
use llamatelemetry_testbed::{Faults, Served};
use std::time::{Duration, Instant};

#[test]
fn dropped_connections_go_on_where_they_broke() {
    let bench = bench();
    let content = bytes(12 * MIB, 10);
    let faults = Faults {
        drops: Some((7, MIB + 77)),
        ..Faults::default()
    };
    bench
        .server
        .put("/f", Served::new(content.clone()).with(faults));
    let fetched = bench
        .fetcher()
        .fetch(&bench.download("/f"), &Silent)
        .unwrap();
    assert_eq!(fetched.sha256, sha256(&content));
    assert_eq!(bench.server.sent(), fetched.size, "no byte twice");
    assert!(bench.server.seen().len() >= 10);
}

#[test]
fn a_stream_that_drops_starts_anew() {
    let bench = bench();
    let content = bytes(3 * MIB, 11);
    let faults = Faults {
        ignore_ranges: true,
        drops: Some((2, MIB)),
        ..Faults::default()
    };
    bench
        .server
        .put("/f", Served::new(content.clone()).with(faults));
    let fetched = bench
        .fetcher()
        .fetch(&bench.download("/f"), &Silent)
        .unwrap();
    assert_eq!(fetched.sha256, sha256(&content));
    assert_eq!(bench.server.sent(), 5 * MIB);
}

#[test]
fn passing_statuses_are_tried_again_and_others_not() {
    let bench = bench();
    let content = bytes(5000, 12);
    let faults = |statuses: &[u16]| Faults {
        statuses: statuses.to_vec(),
        ..Faults::default()
    };
    let file = Served::new(content.clone());
    bench
        .server
        .put("/f", file.clone().with(faults(&[500, 503])));
    let fetched = bench
        .fetcher()
        .fetch(&bench.download("/f"), &Silent)
        .unwrap();
    assert_eq!(fetched.sha256, sha256(&content));
    for status in [400, 401, 403, 404, 410] {
        bench.server.put("/g", file.clone().with(faults(&[status])));
        bench.server.forget();
        let error = bench
            .fetcher()
            .fetch(&bench.download("/g"), &Silent)
            .unwrap_err();
        let FetchError::Status {
            status: told,
            message,
            ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!(told, status);
        assert_eq!(message, format!("status {status} on purpose"));
        assert_eq!(bench.server.seen().len(), 1, "not tried again");
    }
    bench.server.put("/h", file.with(faults(&[500; 20])));
    bench.server.forget();
    let error = bench
        .fetcher()
        .fetch(&bench.download("/h"), &Silent)
        .unwrap_err();
    assert!(
        matches!(error, FetchError::Status { status: 500, .. }),
        "{error}"
    );
    assert_eq!(bench.server.seen().len(), PATIENCE.attempts as usize);
}

#[test]
fn a_server_that_breaks_down_half_way_leaves_what_came() {
    let bench = bench();
    let content = bytes(12 * MIB, 13);
    let file = Served::new(content.clone());
    // Every body breaks after 1 MiB until nothing is left of the patience.
    let broken = Faults {
        drops: Some((usize::MAX, 0)),
        ..Faults::default()
    };
    let half = Faults {
        drops: Some((3, 2 * MIB)),
        becomes: Some((3, Box::new(file.clone().with(broken)))),
        ..Faults::default()
    };
    bench.server.put("/f", file.clone().with(half));
    let error = bench
        .fetcher()
        .fetch(&bench.download("/f"), &Silent)
        .unwrap_err();
    let FetchError::Interrupted { received, .. } = error else {
        panic!("{error}");
    };
    assert!(received >= 2 * MIB, "{received}");
    assert!(!error.hints().is_empty());
    bench.server.put("/f", file);
    bench.server.forget();
    let fetched = bench
        .fetcher()
        .fetch(&bench.download("/f"), &Silent)
        .unwrap();
    assert_eq!(fetched.bytes_reused, received);
    assert_eq!(bench.server.sent(), 12 * MIB - received, "no byte twice");
    assert_eq!(fetched.sha256, sha256(&content));
}

#[test]
fn a_server_that_allows_one_connection_only_is_used_with_one() {
    let bench = bench();
    let content = bytes(16 * MIB, 14);
    // Enough refusals to wear out the patience of every connection but one.
    let faults = Faults {
        throttle: Some(40 * MIB),
        becomes: Some((
            1,
            Box::new(Served::new(content.clone()).with(Faults {
                statuses: vec![503; 9],
                ..Faults::default()
            })),
        )),
        ..Faults::default()
    };
    bench
        .server
        .put("/f", Served::new(content.clone()).with(faults));
    let fetched = bench
        .fetcher()
        .fetch(&bench.download("/f"), &Silent)
        .unwrap();
    assert_eq!(fetched.sha256, sha256(&content));
}

#[test]
fn a_silent_connection_is_given_up_after_the_stall_time() {
    let bench = bench();
    let content = bytes(6 * MIB, 15);
    let file = Served::new(content.clone());
    let stalls = Faults {
        becomes: Some((
            1,
            Box::new(file.clone().with(Faults {
                silent: true,
                becomes: Some((1, Box::new(file.clone()))),
                ..Faults::default()
            })),
        )),
        ..Faults::default()
    };
    bench.server.put("/f", file.with(stalls));
    let begun = Instant::now();
    let fetched = bench
        .fetcher()
        .fetch(&bench.download("/f"), &Silent)
        .unwrap();
    assert_eq!(fetched.sha256, sha256(&content));
    assert!(begun.elapsed() >= PATIENCE.stall);
    assert!(begun.elapsed() < PATIENCE.stall + Duration::from_secs(5));
}

#[test]
fn wrong_bytes_are_refused_and_removed() {
    for ignore_ranges in [false, true] {
        let bench = bench();
        let content = bytes(9 * MIB, 16);
        let faults = Faults {
            wrong_byte: Some(7 * MIB),
            ignore_ranges,
            ..Faults::default()
        };
        bench
            .server
            .put("/f", Served::new(content.clone()).with(faults));
        let download = Download {
            sha256: Some(sha256(&content)),
            ..bench.download("/f")
        };
        let error = bench.fetcher().fetch(&download, &Silent).unwrap_err();
        let FetchError::Digest {
            expected,
            actual,
            url,
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(expected, &sha256(&content));
        assert_ne!(actual, expected);
        assert_eq!(url, &bench.server.url("/f"));
        assert!(!download.target.exists());
        assert!(bench.left_over().is_empty(), "{:?}", bench.left_over());
        // The next attempt is not spoiled by this one.
        bench.server.put("/f", Served::new(content));
        bench.fetcher().fetch(&download, &Silent).unwrap();
    }
}

#[test]
fn lies_about_the_size() {
    let content = bytes(5 * MIB, 17);
    // Too large: the body ends too soon, again and again.
    let bench = bench();
    let claims = |size, ignore_ranges| Faults {
        claimed_size: Some(size),
        ignore_ranges,
        ..Faults::default()
    };
    let put = |faults| {
        bench
            .server
            .put("/f", Served::new(content.clone()).with(faults));
    };
    put(claims(6 * MIB, true));
    let error = bench
        .fetcher()
        .fetch(&bench.download("/f"), &Silent)
        .unwrap_err();
    assert!(matches!(error, FetchError::Interrupted { .. }), "{error}");
    put(claims(6 * MIB, false));
    let error = bench
        .fetcher()
        .fetch(&bench.download("/f"), &Silent)
        .unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::Interrupted { .. }
                | FetchError::Status { .. }
                | FetchError::Protocol { .. }
        ),
        "{error}"
    );
    // Another size than the one asked for is seen before anything is fetched.
    put(claims(6 * MIB, false));
    let download = Download {
        size: Some(5 * MIB),
        ..bench.download("/f")
    };
    let error = bench.fetcher().fetch(&download, &Silent).unwrap_err();
    assert!(
        matches!(error, FetchError::Size { expected, actual, .. } if (expected, actual) == (5 * MIB, 6 * MIB)),
        "{error}"
    );
    // Too small: only a known size or digest can tell.
    put(claims(4 * MIB, true));
    let error = bench.fetcher().fetch(&download, &Silent).unwrap_err();
    assert!(matches!(error, FetchError::Size { .. }), "{error}");
    let download = Download {
        sha256: Some(sha256(&content)),
        ..bench.download("/f")
    };
    let error = bench.fetcher().fetch(&download, &Silent).unwrap_err();
    assert!(matches!(error, FetchError::Digest { .. }), "{error}");
    // Absurdly large: no such disk.
    put(claims(1 << 60, true));
    let error = bench
        .fetcher()
        .fetch(&bench.download("/f"), &Silent)
        .unwrap_err();
    assert!(
        matches!(error, FetchError::NoSpace { needed, .. } if needed == 1 << 60),
        "{error}"
    );
    put(claims(1 << 60, false));
    let error = bench
        .fetcher()
        .fetch(&bench.download("/f"), &Silent)
        .unwrap_err();
    assert!(matches!(error, FetchError::Protocol { .. }), "{error}");
}

#[test]
fn small_documents_survive_drops_and_passing_statuses() {
    let bench = bench();
    let faults = Faults {
        hang_ups: 1,
        statuses: vec![502],
        ..Faults::default()
    };
    bench
        .server
        .put("/doc", Served::new(b"ok".to_vec()).with(faults));
    let reply = bench
        .fetcher()
        .get(&bench.server.url("/doc"), &[], 10)
        .unwrap();
    assert_eq!(reply.body, b"ok");
    assert_eq!(bench.server.seen().len(), 3);
}

#[test]
fn trouble_is_told_while_it_lasts() {
    let bench = bench();
    let file = Served::new(bytes(6 * MIB, 18));
    let drops = Faults {
        drops: Some((2, MIB)),
        ..Faults::default()
    };
    bench.server.put("/f", file.with(drops));
    let watch = Watch::default();
    bench
        .fetcher()
        .fetch(&bench.download("/f"), &watch)
        .unwrap();
    let told = watch.told();
    assert!(
        told.details
            .iter()
            .any(|detail| detail.starts_with("asked again: ")),
        "{:?}",
        told.details
    );
}
