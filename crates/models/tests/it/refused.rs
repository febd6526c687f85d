//! What the hub refuses, and what it should not have served.

use crate::made::{FIRST, Hub, gguf, sha256};
use llamatelemetry_api::Address;
use llamatelemetry_models::{ModelError, NotGguf, TokenSent, ensure};
use llamatelemetry_progress::Silent;
use llamatelemetry_testbed::{StubServer, scratch_home};

/// A hub that answers everything with this status and error code.
fn refusing(status: u16, code: &'static str) -> StubServer {
    StubServer::tcp(move |_, reply| {
        reply.head(
            status,
            &[
                ("X-Error-Code", code),
                ("Content-Length", "0"),
                ("Connection", "close"),
            ],
        )
    })
}

fn endpoint(server: &StubServer) -> String {
    match server.address() {
        Address::Tcp(address) => format!("http://{address}"),
        Address::Unix(_) => unreachable!("it listens on TCP"),
    }
}

#[test]
fn a_gated_repository_says_what_to_do() {
    let server = refusing(401, "GatedRepo");
    let page = format!("{}/lab/Gated", endpoint(&server));
    let home = scratch_home().with("HF_ENDPOINT", endpoint(&server));
    let error = ensure("hf:lab/Gated", &home.settings(), &Silent).expect_err("gated");
    assert_eq!(
        error.to_string(),
        "the hub gives this repository only to those it knows: lab/Gated"
    );
    assert_eq!(
        error.hints(),
        [
            format!("ask for access at {page}"),
            "then give your token: set HF_TOKEN, or log in with the hub's own tool".to_owned()
        ]
    );
    let home = home.with("HF_TOKEN", "hf_x");
    let error = ensure("hf:lab/Gated", &home.settings(), &Silent).expect_err("gated");
    assert!(
        matches!(
            error,
            ModelError::Gated {
                token: TokenSent::Yes,
                ..
            }
        ),
        "{error}"
    );
    assert!(!format!("{error:?} {:?}", error.hints()).contains("hf_x"));
}

#[test]
fn a_repository_that_gates_its_files_is_not_tried_without_a_token() {
    let hub = Hub::start();
    hub.publish("lab/Gated", FIRST, &[("t-Q4_K_M.gguf", gguf("t"))]);
    let body = format!(
        r#"{{"sha":"{FIRST}","gated":"manual","siblings":[{{"rfilename":"t-Q4_K_M.gguf","size":1,"lfs":{{"sha256":"{}","size":1}}}}]}}"#,
        "a".repeat(64)
    );
    hub.files.put(
        "/api/models/lab/Gated/revision/main",
        llamatelemetry_testbed::Served::new(body.into_bytes()),
    );
    let error = ensure("hf:lab/Gated", &hub.home().settings(), &Silent).expect_err("gated");
    assert!(
        matches!(
            error,
            ModelError::Gated {
                token: TokenSent::No,
                ..
            }
        ),
        "{error}"
    );
    assert!(!hub.asked().iter().any(|path| path.contains("/resolve/")));
}

#[test]
fn an_unknown_repository_is_named() {
    let server = refusing(401, "RepoNotFound");
    let home = scratch_home().with("HF_ENDPOINT", endpoint(&server));
    let error = ensure("lab/Nothing", &home.settings(), &Silent).expect_err("unknown");
    assert_eq!(
        error.to_string(),
        "the hub has no such repository, or hides it: lab/Nothing"
    );
    assert_eq!(
        error.hints(),
        ["check the spelling; for a private repository set HF_TOKEN"]
    );
}

#[test]
fn nonsense_from_the_hub_is_an_error() {
    let hub = Hub::start();
    hub.files.put(
        "/api/models/lab/Odd/revision/main",
        llamatelemetry_testbed::Served::new(b"<html>hello</html>".to_vec()),
    );
    let error = ensure("lab/Odd", &hub.home().settings(), &Silent).expect_err("nonsense");
    assert!(matches!(error, ModelError::Hub { .. }), "{error}");
}

#[test]
fn a_model_that_its_publisher_replaced_is_not_the_catalogues() {
    let hub = Hub::start();
    let bytes = gguf("replaced");
    let repo = "ggml-org/gemma-3-1b-it-GGUF";
    let commit = "f9c28bcd85737ffc5aef028638d3341d49869c27";
    hub.publish(
        repo,
        commit,
        &[("gemma-3-1b-it-Q4_K_M.gguf", bytes.clone())],
    );
    let error = ensure("gemma-3-1b", &hub.home().settings(), &Silent).expect_err("another file");
    assert!(
        matches!(&error, ModelError::Replaced { actual, .. } if *actual == sha256(&bytes)),
        "{error}"
    );
    assert!(!hub.asked().iter().any(|path| path.contains("/resolve/")));
}

#[test]
fn a_hub_that_serves_a_page_as_a_model_is_found_out() {
    let hub = Hub::start();
    hub.publish(
        "lab/Page",
        FIRST,
        &[(
            "t-Q4_K_M.gguf",
            b"<!DOCTYPE html><title>no</title>".to_vec(),
        )],
    );
    let error = ensure("lab/Page", &hub.home().settings(), &Silent).expect_err("a page");
    assert!(
        matches!(
            error,
            ModelError::NotGguf {
                looks_like: NotGguf::WebPage,
                ..
            }
        ),
        "{error}"
    );
}
