//! `llt runtime` and `llt gpu`, with the tests' own llama-server.

use crate::llt::{Llt, assert_ran};
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn none_is_there_at_first() {
    assert_ran!(Llt::new().run(&["runtime", "list"]), @r"
    exit code: 0
    ----- stderr -----
    no builds are in the home; `llt runtime install` makes one
    ");
    assert_ran!(Llt::new().run(&["runtime", "remove", "b1"]), @r"
    exit code: 1
    ----- stderr -----
    error: no runtime is called b1 (there are: none)
    ");
}

#[test]
fn the_named_server_is_proved_and_told() {
    let llt = Llt::with_runtime();
    let json = llt.run(&["runtime", "install", "--json"]).json();
    assert_eq!(json["runtime"]["source"]["kind"], "user-path");
    let server = json["runtime"]["server"].as_str().unwrap().to_owned();

    let ran = llt.run(&["runtime", "env"]);
    assert!(
        ran.stdout
            .starts_with(&format!("export LLAMA_SERVER_PATH={server}\n")),
        "{}",
        ran.text()
    );
    let json = llt.run(&["runtime", "explain", "--json"]).json();
    assert_eq!(json["attempts"][0]["step"], "user-path");
    assert_eq!(json["attempts"][0]["verdict"], "chosen");
    let ran = llt.run(&["runtime", "explain"]);
    assert!(
        ran.stdout.contains("1. LLAMA_SERVER_PATH [cpu]: chosen"),
        "{}",
        ran.text()
    );
}

#[test]
fn a_named_server_that_is_none_is_refused_with_the_reason() {
    let llt = Llt::new();
    llt.file("bin/llama-server", "#!/bin/sh\nexit 3\n");
    let path = llt.root().join("bin/llama-server");
    executable(&path);
    let llt = llt.with("LLAMA_SERVER_PATH", &path);
    assert_ran!(llt.run(&["runtime", "install", "--only", "user-path"]));
}

#[test]
fn the_machine_is_a_document() {
    let json = Llt::new().run(&["gpu", "--json"]).json();
    assert_eq!(json["os"], "linux");
    assert!(json["gpus"].is_object());
    let sample = &json["sample"];
    assert_eq!(sample["detail"], "full");
    assert!(sample["host"]["cpu_utilization"].is_f64());
    for gpu in sample["gpus"].as_array().unwrap() {
        assert!(gpu["device"]["name"].is_string());
    }
    // What is not there is told with a reason.
    for absence in sample["absences"].as_array().unwrap() {
        assert_ne!(absence["reason"], "");
    }
    assert_eq!(Llt::new().run(&["gpu"]).code, Some(0));
}

#[test]
fn the_machine_is_watched_until_nobody_reads() {
    use std::io::BufRead as _;
    let llt = Llt::new();
    let mut child = llt
        .command(&["gpu", "--watch", "--json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let moments: Vec<u64> = (0..2)
        .map(|_| {
            let line = lines.next().unwrap().unwrap();
            let sample: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(sample["schema_version"], 1);
            sample["monotonic_ns"].as_u64().unwrap()
        })
        .collect();
    assert!(moments[0] < moments[1]);
    drop(lines);
    assert!(child.wait().unwrap().success());
}

fn executable(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_place_of_a_tool_is_told_for_a_shell() {
    let real = llamatelemetry_testbed::runtime().server;
    let llt = Llt::new();
    let folder = llt.root().join("build");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink(real, folder.join("llama-server")).unwrap();
    llt.file("build/llama-bench", "#!/bin/sh\n");
    let bench = folder.join("llama-bench");
    std::fs::set_permissions(&bench, std::fs::Permissions::from_mode(0o755)).unwrap();
    let llt = llt.with("LLAMA_SERVER_PATH", folder.join("llama-server"));
    let ran = llt.run(&["runtime", "tool", "llama-bench"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "[root]/build/llama-bench\n"),
        "{}",
        ran.text()
    );
    let told = llt
        .run(&["runtime", "tool", "llama-bench", "--json"])
        .json();
    assert_eq!(told["tool"], "bench");
    assert_eq!(told["path"], "[root]/build/llama-bench");
    let ran = llt.run(&["runtime", "tool", "llama-server"]);
    assert_eq!(ran.code, Some(2), "{}", ran.text());
    assert!(ran.stderr.contains("llama-quantize"), "{}", ran.stderr);
}
