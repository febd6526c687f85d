//! What a good server gives.

use crate::bench::{MIB, PART, bench, bytes, sha256};
use crate::watch::Watch;
use llamatelemetry_fetch::{Download, FetchError, HashMemory, sha256_file};
use llamatelemetry_progress::Silent;
use llamatelemetry_testbed::{Faults, Served};

#[test]
fn a_file_comes_in_parts_over_several_connections() {
    let bench = bench();
    let content = bytes(20 * MIB + 12_345, 1);
    bench.server.put("/f", Served::new(content.clone()));
    let watch = Watch::default();
    let download = Download {
        sha256: Some(sha256(&content).to_uppercase()),
        size: Some(content.len() as u64),
        ..bench.download("/f")
    };
    let fetched = bench.fetcher().fetch(&download, &watch).unwrap();
    assert_eq!(std::fs::read(&fetched.path).unwrap(), content);
    assert_eq!(fetched.sha256, sha256(&content));
    assert_eq!(fetched.size, content.len() as u64);
    assert_eq!(
        (fetched.bytes_reused, fetched.bytes_fetched),
        (0, fetched.size)
    );
    let seen = bench.server.seen();
    assert_eq!(seen.len(), 6, "six parts, nothing twice");
    assert!(seen.iter().all(|seen| seen.range.is_some()));
    let validated = seen
        .iter()
        .filter(|seen| seen.headers.contains_key("if-range"));
    assert_eq!(validated.count(), 5, "all but the first know the file");
    assert_eq!(bench.server.sent(), fetched.size);
    assert!(bench.left_over().is_empty(), "{:?}", bench.left_over());
    let told = watch.told();
    assert_eq!(told.tasks[0].total, Some(fetched.size));
    assert_eq!(told.at.last(), Some(&fetched.size));
    assert!(told.at.is_sorted());
}

#[test]
fn what_is_here_is_not_fetched_again() {
    let bench = bench();
    let content = bytes(100_000, 2);
    bench.server.put("/f", Served::new(content.clone()));
    let download = Download {
        sha256: Some(sha256(&content)),
        ..bench.download("/f")
    };
    let fetcher = bench.fetcher();
    fetcher.fetch(&download, &Silent).unwrap();
    bench.server.forget();
    let again = fetcher.fetch(&download, &Silent).unwrap();
    assert_eq!((again.bytes_reused, again.bytes_fetched), (100_000, 0));
    assert!(bench.server.seen().is_empty());
    // Another file in its place is not taken for it.
    std::fs::write(&download.target, &content[1..]).unwrap();
    let replaced = fetcher.fetch(&download, &Silent).unwrap();
    assert_eq!(replaced.bytes_fetched, 100_000);
    assert_eq!(std::fs::read(&download.target).unwrap(), content);
}

#[test]
fn without_digest_and_size_a_file_is_fetched_anew() {
    let bench = bench();
    bench.server.put("/f", Served::new(bytes(1000, 3)));
    let fetcher = bench.fetcher();
    fetcher.fetch(&bench.download("/f"), &Silent).unwrap();
    bench.server.put("/f", Served::new(bytes(1000, 4)));
    let fetched = fetcher.fetch(&bench.download("/f"), &Silent).unwrap();
    assert_eq!(fetched.bytes_fetched, 1000);
    assert_eq!(std::fs::read(&fetched.path).unwrap(), bytes(1000, 4));
}

#[test]
fn an_empty_file_is_a_file() {
    let bench = bench();
    bench.server.put("/f", Served::new(Vec::new()));
    let fetched = bench
        .fetcher()
        .fetch(&bench.download("/f"), &Silent)
        .unwrap();
    assert_eq!(fetched.size, 0);
    assert_eq!(fetched.sha256, sha256(b""));
    assert_eq!(std::fs::metadata(&fetched.path).unwrap().len(), 0);
}

#[test]
fn sizes_around_the_edges_of_parts() {
    for size in [1, PART - 1, PART, PART + 1, 2 * PART] {
        let bench = bench();
        let content = bytes(size, 5);
        bench.server.put("/f", Served::new(content.clone()));
        let fetched = bench
            .fetcher()
            .fetch(&bench.download("/f"), &Silent)
            .unwrap();
        assert_eq!(fetched.sha256, sha256(&content), "{size}");
        assert_eq!(bench.server.sent(), size);
    }
}

#[test]
fn a_server_without_ranges_gives_one_stream_and_it_is_said() {
    for faults in [
        Faults {
            ignore_ranges: true,
            ..Faults::default()
        },
        Faults {
            ignore_ranges: true,
            chunked: true,
            ..Faults::default()
        },
    ] {
        let bench = bench();
        let content = bytes(9 * MIB, 6);
        bench
            .server
            .put("/f", Served::new(content.clone()).with(faults));
        let watch = Watch::default();
        let fetched = bench
            .fetcher()
            .fetch(&bench.download("/f"), &watch)
            .unwrap();
        assert_eq!(fetched.sha256, sha256(&content));
        assert_eq!(bench.server.seen().len(), 1);
        assert!(watch.told().notes[0].contains("sends no parts"));
        assert!(bench.left_over().is_empty());
    }
}

#[test]
fn small_documents() {
    let bench = bench();
    let mut file = Served::new(b"{\"a\":1}".to_vec());
    file.headers = vec![("X-Kind".to_owned(), "json".to_owned())];
    bench.server.put("/doc", file);
    let fetcher = bench.fetcher();
    let reply = fetcher
        .get(&bench.server.url("/doc?q=1"), &[], 100)
        .unwrap();
    assert_eq!(
        (reply.status, reply.body.as_slice()),
        (200, &b"{\"a\":1}"[..])
    );
    assert_eq!(reply.header("x-kind"), Some("json"));
    let missing = fetcher.get(&bench.server.url("/none"), &[], 100).unwrap();
    assert_eq!(missing.status, 404);
    let error = missing.success().unwrap_err();
    assert!(
        error.to_string().contains("status 404 (not here)"),
        "{error}"
    );
    let error = fetcher.get(&bench.server.url("/doc"), &[], 6).unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { limit: 6, .. }));
    let head = fetcher.head(&bench.server.url("/doc"), &[]).unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some("7"));
}

#[test]
fn digests_of_files_are_remembered_until_they_change() {
    let bench = bench();
    let path = bench.scratch.root().join("a");
    std::fs::write(&path, b"one").unwrap();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(100);
    let age = |path| {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(long_ago).unwrap();
    };
    age(&path);
    let memory = HashMemory::open(&bench.scratch.home()).unwrap();
    assert_eq!(memory.recall(&path), None);
    let watch = Watch::default();
    assert_eq!(memory.sha256(&path, &watch).unwrap(), sha256(b"one"));
    assert_eq!(memory.recall(&path), Some(sha256(b"one")));
    // Another process, later.
    let memory = HashMemory::open(&bench.scratch.home()).unwrap();
    assert_eq!(memory.sha256(&path, &watch).unwrap(), sha256(b"one"));
    assert_eq!(watch.told().tasks.len(), 1, "hashed once");
    std::fs::write(&path, b"two").unwrap();
    assert_eq!(memory.recall(&path), None);
    assert_eq!(memory.sha256(&path, &Silent).unwrap(), sha256(b"two"));
    assert_eq!(memory.recall(&path), None, "it was changed a moment ago");
    assert_eq!(sha256_file(&path, &Silent).unwrap(), sha256(b"two"));
}
