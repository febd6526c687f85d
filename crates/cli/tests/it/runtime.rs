//! `llt runtime` and `llt gpu`, with the tests' own llama-server.

use crate::llt::{Llt, assert_ran};

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
    assert_eq!(Llt::new().run(&["gpu"]).code, Some(0));
}

fn executable(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
