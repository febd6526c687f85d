//! Files that change on the server, between two attempts and within one.

use crate::bench::{Bench, MIB, bench, bytes, download, sha256};
use crate::watch::Watch;
use llamatelemetry_fetch::{Download, FetchError};
use llamatelemetry_progress::Silent;
use llamatelemetry_testbed::{Faults, Served};

/// A download of which some megabytes have come before the server broke down.
fn begun(bench: &Bench, file: &Served, download: &Download) -> u64 {
    let dead = Faults {
        drops: Some((usize::MAX, 0)),
        ..Faults::default()
    };
    let faults = Faults {
        drops: Some((2, 2 * MIB)),
        becomes: Some((2, Box::new(file.clone().with(dead)))),
        ..Faults::default()
    };
    bench.server.put("/f", file.clone().with(faults));
    let error = bench.fetcher().fetch(download, &Silent).unwrap_err();
    bench.server.forget();
    match error {
        FetchError::Interrupted { received, .. } if received > 0 => received,
        other => panic!("{other}"),
    }
}

#[test]
fn a_file_changed_between_two_attempts_starts_anew() {
    let tags =
        |etag: Option<&str>, date: Option<&str>| (etag.map(str::to_owned), date.map(str::to_owned));
    for (old, new) in [
        (tags(Some("\"a\""), None), tags(Some("\"b\""), None)),
        (tags(Some("W/\"a\""), None), tags(Some("W/\"b\""), None)),
        (
            tags(None, Some("Wed, 01 Jan 2025 00:00:00 GMT")),
            tags(None, Some("Thu, 02 Jan 2025 00:00:00 GMT")),
        ),
    ] {
        let bench = bench();
        let download = bench.download("/f");
        let with =
            |content: Vec<u8>, (etag, last_modified): (Option<String>, Option<String>)| Served {
                etag,
                last_modified,
                ..Served::new(content)
            };
        let reused = begun(&bench, &with(bytes(12 * MIB, 20), old.clone()), &download);
        let content = bytes(12 * MIB, 21);
        bench.server.put("/f", with(content.clone(), new));
        let watch = Watch::default();
        let fetched = bench.fetcher().fetch(&download, &watch).unwrap();
        assert!(reused > 0);
        assert_eq!(
            fetched.sha256,
            sha256(&content),
            "no byte of the old file: {old:?}"
        );
        assert_eq!(fetched.bytes_reused, 0);
        let notes = watch.told().notes;
        assert!(notes[0].contains("starts anew"), "{notes:?}");
    }
}

#[test]
fn a_file_of_another_size_starts_anew_even_without_tags() {
    let bench = bench();
    let download = bench.download("/f");
    let bare = |content: Vec<u8>| Served {
        etag: None,
        ..Served::new(content)
    };
    begun(&bench, &bare(bytes(12 * MIB, 22)), &download);
    let content = bytes(13 * MIB, 23);
    bench.server.put("/f", bare(content.clone()));
    let fetched = bench.fetcher().fetch(&download, &Silent).unwrap();
    assert_eq!(fetched.sha256, sha256(&content));
    // Shorter than what is here: no range of it exists.
    begun(&bench, &bare(bytes(12 * MIB, 22)), &download);
    let content = bytes(1000, 23);
    bench.server.put("/f", bare(content.clone()));
    let fetched = bench.fetcher().fetch(&download, &Silent).unwrap();
    assert_eq!(fetched.sha256, sha256(&content));
}

#[test]
fn a_file_changed_while_it_is_fetched_starts_anew() {
    let bench = bench();
    let new = bytes(12 * MIB, 25);
    let faults = Faults {
        becomes: Some((2, Box::new(Served::new(new.clone())))),
        ..Faults::default()
    };
    bench
        .server
        .put("/f", Served::new(bytes(12 * MIB, 24)).with(faults));
    let fetched = bench
        .fetcher()
        .fetch(&bench.download("/f"), &Silent)
        .unwrap();
    assert_eq!(fetched.sha256, sha256(&new));
    assert_eq!(std::fs::read(&fetched.path).unwrap(), new);
}

#[test]
fn a_file_that_never_stops_changing_comes_in_one_stream() {
    let bench = bench();
    let last = bytes(12 * MIB, 30);
    let mut file = Served::new(last.clone());
    for seed in 26..30 {
        file = Served::new(bytes(12 * MIB, seed)).with(Faults {
            becomes: Some((1, Box::new(file))),
            ..Faults::default()
        });
    }
    bench.server.put("/f", file);
    let fetched = bench
        .fetcher()
        .fetch(&bench.download("/f"), &Silent)
        .unwrap();
    let whole: Vec<String> = (26..31)
        .map(|seed| sha256(&bytes(12 * MIB, seed)))
        .collect();
    assert!(whole.contains(&fetched.sha256), "no mixture of two");
}

#[test]
fn rotten_leftovers_are_found_by_the_digest_and_fetched_again() {
    let bench = bench();
    let content = bytes(12 * MIB, 31);
    let download = Download {
        sha256: Some(sha256(&content)),
        ..bench.download("/f")
    };
    let file = Served::new(content.clone());
    begun(&bench, &file, &download);
    let part = bench.left_over_as("part");
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[5] ^= 1;
    std::fs::write(&part, bytes).unwrap();
    bench.server.put("/f", file);
    let watch = Watch::default();
    let fetched = bench.fetcher().fetch(&download, &watch).unwrap();
    assert_eq!(fetched.sha256, sha256(&content));
    assert!(fetched.bytes_fetched > fetched.size);
    assert!(watch.told().notes[0].contains("its SHA-256 is wrong"));
}

#[test]
fn damaged_ledgers_are_thrown_away() {
    for damage in 0..4 {
        let bench = bench();
        let content = bytes(12 * MIB, 32);
        let download = bench.download("/f");
        let file = Served::new(content.clone());
        begun(&bench, &file, &download);
        let ledger = bench.left_over_as("ledger");
        let mut bytes = std::fs::read(&ledger).unwrap();
        match damage {
            0 => bytes.truncate(100),
            1 => bytes[0] = b'x',
            // More bytes of the first part than it has.
            2 => bytes[4096..4104].copy_from_slice(&u64::MAX.to_le_bytes()),
            _ => bytes.clear(),
        }
        std::fs::write(&ledger, bytes).unwrap();
        bench.server.put("/f", file);
        let fetched = bench.fetcher().fetch(&download, &Silent).unwrap();
        assert_eq!(
            (fetched.bytes_reused, fetched.sha256),
            (0, sha256(&content))
        );
    }
}

#[test]
fn with_a_known_digest_another_address_goes_on() {
    let bench = bench();
    let content = bytes(12 * MIB, 33);
    let first = Download {
        sha256: Some(sha256(&content)),
        ..bench.download("/f")
    };
    let reused = begun(&bench, &Served::new(content.clone()), &first);
    let mirror = Served {
        etag: Some("\"of the mirror\"".to_owned()),
        ..Served::new(content.clone())
    };
    bench.server.put("/mirror", mirror);
    let second = Download {
        sha256: Some(sha256(&content)),
        ..download(bench.server.url("/mirror"), bench.target("file"))
    };
    let fetched = bench.fetcher().fetch(&second, &Silent).unwrap();
    assert_eq!(fetched.bytes_reused, reused);
    assert_eq!(fetched.sha256, sha256(&content));
}
