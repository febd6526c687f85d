//! Binaries that must not be used, each with its reason, and the one that is used instead.

use crate::place::{attempts, bare_home, script, server, settings, stub, verdict};
use llamatelemetry_progress::Silent;
use llamatelemetry_runtime::{
    QueueSignal, RuntimeError, Source, Step, Verdict, bootstrap, explain,
};
use llamatelemetry_testbed as testbed;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The reason for which this file is refused as the user's own.
fn reason(home: &testbed::ScratchHome, server: &Path) -> String {
    let mut settings = settings(home);
    settings.runtime.server_path = Some(server.to_path_buf());
    let before = std::fs::read(server).ok();
    let error = bootstrap(&settings, &Silent).unwrap_err();
    let (verdict, reason) = verdict(attempts(&error), Step::UserPath);
    assert_eq!(verdict, Verdict::Refused, "{reason}");
    assert_eq!(before, std::fs::read(server).ok(), "it was touched");
    reason.to_owned()
}

#[test]
fn a_server_that_dies_by_an_illegal_instruction() {
    let home = bare_home();
    let at_once = script(&home.root().join("a/llama-server"), "kill -ILL $$");
    assert_eq!(
        reason(&home, &at_once),
        "it died by SIGILL during --version: it was built with instructions that this processor \
         does not have"
    );
    // One that only dies when it computes, as builds for newer processors do.
    let later = stub(&home.root().join("b/llama-server"), "kill -ILL $$");
    let text = reason(&home, &later);
    assert!(
        text.starts_with("it died by SIGILL during the loading"),
        "{text}"
    );
}

#[test]
fn a_server_that_lacks_a_library() {
    let home = bare_home();
    let folder = home.root().join("built");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("gone.c"), "int gone(void) { return 0; }\n").unwrap();
    let main = "int gone(void);\nint main(void) { return gone(); }\n";
    std::fs::write(folder.join("main.c"), main).unwrap();
    let cc = |arguments: &[&str]| {
        Command::new("cc")
            .current_dir(&folder)
            .args(arguments)
            .status()
            .is_ok_and(|status| status.success())
    };
    if !(cc(&["-shared", "-fPIC", "gone.c", "-o", "libgone.so"])
        && cc(&["main.c", "-L.", "-lgone", "-o", "llama-server"]))
    {
        return testbed::skip("no C compiler");
    }
    std::fs::remove_file(folder.join("libgone.so")).unwrap();
    assert_eq!(
        reason(&home, &folder.join("llama-server")),
        "it needs libgone.so, which is not on this machine"
    );
}

#[test]
fn what_is_no_llama_server_at_all() {
    let home = bare_home();
    let root = home.root();
    assert_eq!(reason(&home, &root.join("none")), "there is no such file");

    let plain = root.join("plain");
    std::fs::write(&plain, "text").unwrap();
    assert_eq!(reason(&home, &plain), "it is not an executable file");

    let foreign = root.join("foreign");
    std::fs::write(&foreign, b"\x7fELF\x02\x01\x01 for another machine").unwrap();
    crate::place::executable(&foreign);
    assert_eq!(
        reason(&home, &foreign),
        "it is no program for this kind of machine"
    );

    let other = script(&root.join("other"), "echo 'some program 1.0'");
    assert_eq!(
        reason(&home, &other),
        "its --version names no llama.cpp version"
    );

    let failing = script(&root.join("failing"), "echo usage >&2; exit 2");
    assert_eq!(reason(&home, &failing), "--version ended with code 2");

    let loader = root.join("loader");
    std::fs::write(&loader, "#!/no/such/interpreter\n").unwrap();
    crate::place::executable(&loader);
    assert!(reason(&home, &loader).contains("the loader or interpreter"));
}

#[test]
fn a_server_that_cannot_load_the_tiny_model() {
    let home = bare_home();
    let server = stub(
        &home.root().join("llama-server"),
        "echo 'error loading model: unknown model architecture' >&2; exit 1",
    );
    let text = reason(&home, &server);
    assert!(text.contains("tiny model"), "{text}");
}

#[test]
fn after_a_refusal_the_next_source_is_used() {
    let home = bare_home();
    let real = server();
    let folder = real.parent().unwrap().to_path_buf();
    let home = home.with("PATH", folder.as_os_str());
    let mut settings = settings(&home);
    let bad = stub(&home.root().join("bad/llama-server"), "kill -ILL $$");
    settings.runtime.server_path = Some(bad.clone());

    let told = crate::place::Kept::default();
    let runtime = bootstrap(&settings, &told).unwrap();
    assert_eq!(runtime.source, Source::SearchPath { path: real.clone() });
    assert_eq!(runtime.server, real);
    assert_eq!(runtime.proof.queue_signal, QueueSignal::Headers);
    assert!(runtime.build.number.is_some());
    assert!(
        told.lines().iter().any(|line| line.contains("SIGILL")),
        "the refusal was told: {:?}",
        told.lines()
    );

    // The lock file answers from now on, quickly.
    let quickest = (0..20)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(bootstrap(&settings, &Silent).unwrap(), runtime);
            begun.elapsed()
        })
        .min()
        .unwrap();
    assert!(quickest < Duration::from_millis(5), "{quickest:?}");

    // A changed file at the user's path is looked at again.
    stub(&bad, "exit 1");
    let told = crate::place::Kept::default();
    bootstrap(&settings, &told).unwrap();
    assert!(
        told.lines()
            .iter()
            .any(|line| line.contains("bad/llama-server"))
    );
}

#[test]
fn the_lock_file_says_what_was_chosen_and_why_it_may_be_used() {
    let home = bare_home();
    let mut settings = settings(&home);
    settings.runtime.server_path = Some(server());
    let runtime = bootstrap(&settings, &Silent).unwrap();
    let text = std::fs::read(settings.home.root().join("runtime.lock.json")).unwrap();
    let lock: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(lock["schema_version"], 1);
    assert_eq!(lock["runtime"]["identity"], runtime.identity);
    assert_eq!(lock["runtime"]["source"]["kind"], "user-path");
    assert_eq!(lock["runtime"]["proof"]["queue_signal"], "headers");
    assert_eq!(
        lock["runtime"]["proof"]["sha256"].as_str().unwrap().len(),
        64
    );
    assert!(lock["inputs"]["cpu"].as_str().is_some());
    assert!(lock["written_at"].as_u64().unwrap() > 1_700_000_000);

    // A damaged lock file is no answer, and no error.
    std::fs::write(settings.home.root().join("runtime.lock.json"), "{").unwrap();
    assert_eq!(
        bootstrap(&settings, &Silent).unwrap().server,
        runtime.server
    );
}

#[test]
fn an_explanation_tells_every_source_and_makes_nothing() {
    let home = bare_home();
    let mut settings = settings(&home);
    settings.runtime.server_path = Some(server());
    let explanation = explain(&settings, &Silent);
    let steps: Vec<Step> = explanation
        .attempts
        .iter()
        .map(|attempt| attempt.step)
        .collect();
    assert_eq!(steps, Step::ALL);
    assert_eq!(
        verdict(&explanation.attempts, Step::UserPath).0,
        Verdict::Chosen
    );
    assert_eq!(
        verdict(&explanation.attempts, Step::Store),
        (Verdict::Skipped, "it is empty")
    );
    let (verdict, reason) = verdict(&explanation.attempts, Step::Build);
    assert_eq!(verdict, Verdict::Refused);
    assert!(reason.starts_with("no C++ compiler was found"), "{reason}");
    assert_eq!(explanation.chosen.unwrap().server, server());
    assert!(!settings.home.runtimes().exists());
    assert!(!settings.home.root().join("runtime.lock.json").exists());
    let json = serde_json::to_value(&explanation.attempts).unwrap();
    assert_eq!(json[0]["step"], "user-path");
}

#[test]
fn cuda_is_not_taken_from_a_server_without_it() {
    let home = bare_home();
    let mut settings = settings(&home);
    let real = testbed::runtime();
    if real.backend == llamatelemetry_runtime::Backend::Cuda {
        return testbed::skip("the tests' own runtime has CUDA");
    }
    settings.runtime.server_path = Some(real.server);
    settings.runtime.backend = llamatelemetry_settings::BackendChoice::Cuda;
    let error = bootstrap(&settings, &Silent).unwrap_err();
    assert_eq!(
        verdict(attempts(&error), Step::UserPath),
        (Verdict::Refused, "it sees no GPU that it can compute with")
    );
    assert!(matches!(error, RuntimeError::NoneUsable { .. }));
}

#[test]
fn cuda_is_not_taken_from_a_server_on_path_without_it() {
    let real = testbed::runtime();
    if real.backend == llamatelemetry_runtime::Backend::Cuda {
        return testbed::skip("the tests' own runtime has CUDA");
    }
    let folder = real.server.parent().unwrap().to_path_buf();
    let home = bare_home().with("PATH", folder.as_os_str());
    let mut settings = settings(&home);
    settings.runtime.backend = llamatelemetry_settings::BackendChoice::Cuda;
    let error = bootstrap(&settings, &Silent).unwrap_err();
    assert_eq!(
        verdict(attempts(&error), Step::SearchPath),
        (Verdict::Refused, "it sees no GPU that it can compute with")
    );
    assert!(matches!(error, RuntimeError::NoneUsable { .. }));
}
