//! The store and the shell's lines.

use crate::place::{bare_home, server, settings};
use llamatelemetry_progress::Silent;
use llamatelemetry_runtime::{RuntimeError, bootstrap, environment, list, remove};
use std::path::PathBuf;
use std::process::Command;

#[test]
fn an_empty_store_is_no_error() {
    let home = bare_home();
    let settings = settings(&home);
    assert!(list(&settings).unwrap().is_empty());
    let error = remove(&settings, "b1").unwrap_err();
    assert_eq!(
        error.to_string(),
        "no runtime is called b1 (there are: none)"
    );
    assert!(matches!(
        remove(&settings, ""),
        Err(RuntimeError::Unknown { .. })
    ));
}

#[test]
fn a_folder_without_its_document_is_no_runtime() {
    let home = bare_home();
    let settings = settings(&home);
    let folder = settings.home.runtimes().join("b11434-cpu-0123456789ab");
    std::fs::create_dir_all(folder.join("bin")).unwrap();
    assert!(list(&settings).unwrap().is_empty());
    std::fs::write(folder.join("runtime.json"), "{\"schema_version\":1}").unwrap();
    assert!(list(&settings).unwrap().is_empty());
}

#[test]
fn the_shells_lines_name_the_runtime() {
    let home = bare_home();
    let mut settings = settings(&home);
    settings.runtime.server_path = Some(server());
    let mut runtime = bootstrap(&settings, &Silent).unwrap();
    runtime.library_dirs = vec![PathBuf::from("/a folder/lib")];
    let mut script = environment(&runtime).join("\n");
    script.push_str("\nprintf '%s\\n' \"$LLAMA_SERVER_PATH\" \"$LD_LIBRARY_PATH\" \"$PATH\"");
    let output = Command::new("/bin/sh")
        .arg("-c")
        .arg(script)
        .env_clear()
        .env("PATH", "/usr/bin")
        .env("LD_LIBRARY_PATH", "/theirs")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], runtime.server.to_str().unwrap());
    assert_eq!(lines[1], "/a folder/lib:/theirs");
    assert!(lines[2].ends_with(":/usr/bin"));
    assert!(lines[2].starts_with(runtime.server.parent().unwrap().to_str().unwrap()));
}
