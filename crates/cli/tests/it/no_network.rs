//! A machine without a network.

use crate::llt::{Llt, Ran, assert_text};
use std::process::Command;
use std::time::Instant;

/// Runs `llt` in a network namespace of its own, in which nothing can be reached. `None` where
/// this system does not let us.
fn without_network(llt: &Llt, args: &[&str]) -> Option<Ran> {
    let permitted = Command::new("unshare").args(["-rn", "true"]).output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        return None;
    }
    let command = llt.command(args);
    let mut wrapped = Command::new("unshare");
    wrapped
        .arg("-rn")
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().unwrap())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
    Some(Ran::new(llt, &wrapped.output().unwrap()))
}

#[test]
fn a_hub_model_without_a_network() {
    let llt = Llt::online();
    let started = Instant::now();
    let Some(ran) = without_network(&llt, &["models", "pull", "hf:ggml-org/gemma-3-1b-it-GGUF"])
    else {
        return llamatelemetry_testbed::skip("no network namespaces (unshare -rn)");
    };
    // Five seconds are for the hosts, the rest for a busy machine.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    assert_eq!(ran.code, Some(1), "{}", ran.text());
    assert_text!(ran.stderr);
}

#[test]
fn a_model_that_is_here_needs_no_network() {
    let llt = Llt::online().with(
        "LLAMA_SERVER_PATH",
        llamatelemetry_testbed::runtime().server,
    );
    llt.file(
        "proof.gguf",
        std::fs::read(llamatelemetry_testbed::proof_model()).unwrap(),
    );
    let args = ["run", "./proof.gguf", "hi", "-n", "3", "--temperature", "0"];
    let Some(ran) = without_network(&llt, &args) else {
        return llamatelemetry_testbed::skip("no network namespaces (unshare -rn)");
    };
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    assert_eq!(ran.stdout, "abc\n");
}
