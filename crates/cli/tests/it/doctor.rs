//! `llt doctor`

use crate::llt::Llt;
use serde_json::Value;

fn check<'a>(json: &'a Value, name: &str) -> &'a Value {
    let checks = json["checks"].as_array().unwrap();
    checks
        .iter()
        .find(|check| check["check"] == name)
        .unwrap_or_else(|| panic!("no check {name}: {json}"))
}

#[test]
fn a_machine_with_a_runtime_is_healthy() {
    let ran = Llt::with_runtime().run(&["doctor", "--json"]);
    let json = ran.json();
    assert_eq!(json["healthy"], true, "{json}");
    assert_eq!(ran.code, Some(0));
    assert_eq!(check(&json, "llama.cpp")["status"], "good");
    assert_eq!(check(&json, "home")["status"], "good");
    assert_eq!(check(&json, "network")["status"], "note");
    for name in [
        "system",
        "gpu",
        "disk",
        "settings",
        "compiler",
        "cmake",
        "ninja",
        "python",
        "config.ini",
        "servers",
    ] {
        check(&json, name);
    }
}

#[test]
fn what_is_broken_is_told_with_its_fix_and_fails() {
    // No compiler, nothing on PATH, offline: no llama.cpp can be had.
    let llt = Llt::new()
        .with("PATH", "/nowhere")
        .with("LLAMATELEMETRY_OFLINE", "1");
    let ran = llt.run(&["doctor", "--json"]);
    let json = ran.json();
    assert_eq!(json["healthy"], false);
    assert_eq!(ran.code, Some(1));
    assert_eq!(check(&json, "llama.cpp")["status"], "broken");
    let compiler = check(&json, "compiler");
    assert_eq!(compiler["status"], "broken");
    assert_eq!(compiler["fix"][0], "Debian, Ubuntu: sudo apt install g++");
    assert_eq!(check(&json, "python")["status"], "warning");
    let misspelt = json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["check"] == "settings" && check["status"] == "warning")
        .unwrap();
    assert_eq!(misspelt["fix"][0], "did you mean LLAMATELEMETRY_OFFLINE?");
    let people = llt.run(&["doctor"]);
    assert!(
        people
            .stdout
            .contains("→ Debian, Ubuntu: sudo apt install g++"),
        "{}",
        people.text()
    );
}

#[test]
fn sources_that_do_not_answer_are_told_in_time() {
    // A port that nobody listens on.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let nobody = format!("http://127.0.0.1:{port}");
    let llt = Llt::online()
        .with("LLAMATELEMETRY_RELEASES_MIRROR", &nobody)
        .with("LLAMATELEMETRY_HUB_MIRROR", &nobody)
        .with(
            "LLAMA_SERVER_PATH",
            llamatelemetry_testbed::runtime().server,
        );
    let started = std::time::Instant::now();
    let json = llt.run(&["doctor", "--json"]).json();
    assert!(started.elapsed().as_secs() < 30);
    assert_eq!(check(&json, "releases")["status"], "warning");
    assert_eq!(check(&json, "hub")["status"], "warning");
}
