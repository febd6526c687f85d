//! What the testbed promises its users.

use llamatelemetry_testbed as testbed;

#[test]
fn a_scratch_home_holds_everything_and_goes_with_its_value() {
    let scratch = testbed::scratch_home().with("HF_HUB_OFFLINE", "1");
    let root = scratch.root().to_owned();
    let settings = scratch.settings();
    assert!(settings.home.root().starts_with(&root));
    assert!(settings.models.hub_cache.starts_with(&root));
    assert!(settings.network.offline);
    let environment = scratch.environment();
    for name in ["HOME", "HF_HOME", "XDG_CONFIG_HOME", "OLLAMA_MODELS"] {
        let value = environment.get_os(name).expect("a folder");
        assert!(std::path::Path::new(value).starts_with(&root), "{name}");
    }
    let shown = scratch
        .command("/usr/bin/env")
        .output()
        .expect("env can be run");
    let shown = String::from_utf8(shown.stdout).expect("text");
    assert!(shown.contains("HF_HUB_OFFLINE=1\n"), "{shown}");
    drop(scratch);
    assert!(!root.exists());
}

#[test]
fn the_source_tree_has_the_vocabulary_files() {
    let tree = testbed::llama_source();
    assert!(tree.join("CMakeLists.txt").is_file());
    assert!(tree.join("models/ggml-vocab-llama-bpe.gguf").is_file());
}

#[test]
fn the_proof_model_is_a_model() {
    let model = llamatelemetry_gguf::Gguf::open(testbed::proof_model()).expect("a GGUF file");
    assert_eq!(model.facts().expect("facts").architecture, "llama");
}
