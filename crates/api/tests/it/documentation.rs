//! The list of endpoints against the code, the tests, and llama-server's own source.

use llamatelemetry_api::routes::{NOT_HERE, ROUTES, Verb};
use std::collections::{BTreeMap, BTreeSet};

/// The functions of this trait, file or folder of tests that have this name before their bracket.
fn functions(source: &str) -> BTreeSet<&str> {
    let named = source
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("fn "));
    named
        .filter_map(|rest| Some(&rest[..rest.find(['(', '<'])?]))
        .collect()
}

/// Every test against the real server.
fn tests() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/real");
    let mut sources = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        sources.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    sources
}

#[test]
fn every_endpoint_is_a_method_and_every_method_an_endpoint() {
    let methods = functions(include_str!("../../src/endpoints.rs"));
    let listed: BTreeSet<&str> = ROUTES
        .iter()
        .flat_map(|route| [Some(route.name), route.streams])
        .flatten()
        .chain(["run", "open"])
        .collect();
    assert_eq!(methods, listed);
}

#[test]
fn every_endpoint_has_a_test_and_every_stream_one_that_cuts_it() {
    let sources = tests();
    let tests: BTreeSet<&str> = functions(&sources);
    let lacking: Vec<_> = ROUTES
        .iter()
        .flat_map(|route| {
            let streams = route.streams.map(str::to_owned);
            let cut = route.streams.map(|name| format!("{name}_cut"));
            [Some(route.name.to_owned()), streams, cut]
        })
        .flatten()
        .filter(|name| !tests.contains(name.as_str()))
        .collect();
    assert_eq!(lacking, [] as [&str; 0]);
}

/// What llama-server registers: `ctx_http.get ("/path", …)`.
fn registered(source: &str) -> BTreeMap<&str, BTreeSet<Verb>> {
    let mut paths = BTreeMap::<_, BTreeSet<_>>::new();
    for line in source.lines() {
        let Some(rest) = line.trim_start().strip_prefix("ctx_http.") else {
            continue;
        };
        let verbs = [
            ("get", Verb::Get),
            ("post", Verb::Post),
            ("del", Verb::Delete),
        ];
        for (name, verb) in verbs {
            let path = rest
                .strip_prefix(name)
                .and_then(|rest| rest.trim_start().strip_prefix("(\""))
                .and_then(|rest| rest.split('"').next());
            if let Some(path) = path {
                paths.entry(path).or_default().insert(verb);
            }
        }
    }
    paths
}

#[test]
fn the_list_is_what_llama_server_registers() {
    let tree = llamatelemetry_testbed::llama_source();
    let source = std::fs::read_to_string(tree.join("tools/server/server.cpp")).unwrap();
    let mut registered = registered(&source);
    for (path, _) in NOT_HERE {
        assert!(
            registered.remove(path).is_some(),
            "{path} is no longer there"
        );
    }
    let mut listed = BTreeMap::<&str, BTreeSet<Verb>>::new();
    for route in ROUTES {
        for path in [&[route.path], route.aliases].concat() {
            listed.entry(path).or_default().insert(route.method);
        }
    }
    assert_eq!(registered, listed);
}
