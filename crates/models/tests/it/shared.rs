//! The hub's cache is shared: what we fetch, llama-server finds by itself.

use crate::made::{FIRST, Hub};
use llamatelemetry_models::ensure;
use llamatelemetry_progress::Silent;
use llamatelemetry_testbed::{proof_model, runtime};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

const REPO: &str = "lab/Proof-GGUF";

#[test]
fn llama_server_loads_what_we_fetched_without_asking_the_hub() {
    let runtime = runtime();
    let hub = Hub::start();
    let bytes = std::fs::read(proof_model()).expect("the proof model");
    hub.publish(REPO, FIRST, &[("proof-Q4_K_M.gguf", bytes)]);
    let home = hub.home();
    ensure(REPO, &home.settings(), &Silent).expect("a model");
    hub.asked();
    let libraries = std::env::join_paths(&runtime.library_dirs).expect("good paths");
    let mut server = home
        .command(&runtime.server)
        .args([
            "-hf",
            REPO,
            "--offline",
            "--port",
            "0",
            "--no-webui",
            "-c",
            "64",
        ])
        .env("LD_LIBRARY_PATH", libraries)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("llama-server");
    let log = BufReader::new(server.stderr.take().expect("its log"));
    let mut told = Vec::new();
    for line in log.lines() {
        let line = line.expect("its log");
        let ready = line.contains("listening on");
        told.push(line);
        if ready {
            break;
        }
    }
    server.kill().expect("it is ended");
    server.wait().expect("it has ended");
    let told = told.join("\n");
    // Offline and in a home of its own, it can have loaded no other file.
    assert!(told.contains("model loaded"), "{told}");
    assert_eq!(hub.asked(), Vec::<String>::new());
}
