//! What a server tells of itself, and what of it can be changed.

use super::place::{alphabet, refusal};
use llamatelemetry_api::{CompletionRequest, Endpoints as _, Generation, Health, LoraScale};
use llamatelemetry_gguf::{GgmlType, GgufWriter};
use llamatelemetry_testbed::scratch_home;
use std::path::Path;

fn completion(prompt: &str) -> CompletionRequest {
    CompletionRequest {
        prompt: prompt.into(),
        max_tokens: Some(4),
        temperature: Some(0.0),
        ..CompletionRequest::default()
    }
}

#[test]
fn health() {
    assert_eq!(alphabet(&[]).health().unwrap(), Health::Ready);
}

#[test]
fn props() {
    let server = alphabet(&["--alias", "letters"]);
    let props = server.props().unwrap();
    assert!(props.build_info.starts_with('b'), "{}", props.build_info);
    assert!(Path::new(&props.model_path).is_file());
    assert_eq!(props.model_alias.as_deref(), Some("letters"));
    assert_eq!(props.total_slots, 1);
    assert!(!props.modalities.unwrap().vision);
    assert!(!props.is_sleeping);
    assert!(props.extra.contains_key("default_generation_settings"));
}

#[test]
fn set_props() {
    let nothing = serde_json::json!({});
    assert!(alphabet(&["--props"]).set_props(&nothing).unwrap().success);
    let (status, said) = refusal(alphabet(&[]).set_props(&nothing));
    assert_eq!(status, 501);
    assert!(said.contains("--props"), "{said}");
}

#[test]
fn models() {
    let server = alphabet(&["--alias", "letters"]);
    let models = server.models().unwrap();
    let model = &models.data[0];
    assert_eq!(model.id, "letters");
    let meta = model.meta.as_ref().unwrap();
    assert_eq!((meta.n_vocab, meta.n_ctx_train), (259, 2048));
    assert!(models.extra.contains_key("models"), "Ollama's form is kept");
}

#[test]
fn metrics() {
    let server = alphabet(&[]);
    server.completion(&completion("abc")).unwrap();
    let metrics = server.metrics().unwrap();
    assert_eq!(metrics.get("llamacpp:tokens_predicted_total"), Some(4.0));
    assert_eq!(metrics.get("llamacpp:requests_processing"), Some(0.0));
    assert_eq!(metrics.get("llamacpp:no_such_figure"), None);
    assert!(metrics.started.unwrap() > 1_700_000_000);
}

#[test]
fn slots() {
    let server = alphabet(&[]);
    let before = server.slots().unwrap();
    assert_eq!((before.len(), before[0].id_task), (1, None));
    server.completion(&completion("abc")).unwrap();
    server.until_idle();
    let after = &server.slots().unwrap()[0];
    assert!(after.id_task.is_some());
    // The prompt's four tokens, begin of sequence included, and what was generated.
    assert!(after.n_prompt_tokens.unwrap() >= 4);
    assert!(after.extra.contains_key("params"));
}

/// A server that keeps slots as files, and a slot that holds something.
fn with_slot_files() -> super::place::Place {
    let folder = scratch_home();
    let path = folder.root().to_str().unwrap().to_owned() + "/";
    let mut server = alphabet(&["--slot-save-path", &path]);
    server.kept = Some(folder);
    server.completion(&completion("abcdefgh")).unwrap();
    server
}

#[test]
fn slot_save() {
    let server = with_slot_files();
    let saved = server.slot_save(0, "letters.bin").unwrap();
    assert_eq!((saved.id_slot, saved.filename.as_str()), (0, "letters.bin"));
    assert!(saved.n_saved >= 9, "{saved:?}");
    let file = server.kept.as_ref().unwrap().root().join("letters.bin");
    assert_eq!(file.metadata().unwrap().len(), saved.n_written);
    assert_eq!(refusal(server.slot_save(0, "../letters.bin")).0, 400);
}

#[test]
fn slot_restore() {
    let server = with_slot_files();
    let saved = server.slot_save(0, "letters.bin").unwrap();
    server.slot_erase(0).unwrap();
    let restored = server.slot_restore(0, "letters.bin").unwrap();
    assert_eq!(restored.n_restored, saved.n_saved);
    assert_eq!(restored.n_read, saved.n_written);
    // What was restored is not evaluated again.
    let answer = &server.completion(&completion("abcdefgh")).unwrap()[0];
    assert!(answer.timings.as_ref().unwrap().server.cache_n >= 8);
}

#[test]
fn slot_erase() {
    let server = with_slot_files();
    assert!(server.slot_erase(0).unwrap().n_erased >= 9);
    let answer = &server.completion(&completion("abcdefgh")).unwrap()[0];
    assert_eq!(answer.timings.as_ref().unwrap().server.cache_n, 0);
    assert_eq!(refusal(alphabet(&[]).slot_erase(0)).0, 501);
}

/// An adapter of the alphabet's model that turns its output around.
fn adapter(file: &Path) {
    const WIDTH: usize = 64;
    let mut writer = GgufWriter::new();
    for (key, value) in [
        ("general.architecture", "llama"),
        ("general.type", "adapter"),
        ("general.name", "letters, otherwise"),
        ("adapter.type", "lora"),
    ] {
        writer.set(key, value).unwrap();
    }
    writer.set("adapter.lora.alpha", 1.0_f32).unwrap();
    let column: Vec<u8> = (0..WIDTH)
        .flat_map(|axis| (if axis % 2 == 0 { 4.0_f32 } else { -4.0 }).to_le_bytes())
        .collect();
    for name in ["a", "b"] {
        let shape = if name == "a" { [64, 1] } else { [1, 64] };
        let tensor = format!("blk.0.attn_output.weight.lora_{name}");
        writer
            .tensor(tensor, &shape, GgmlType::F32, column.clone())
            .unwrap();
    }
    std::fs::write(file, writer.to_bytes().unwrap()).unwrap();
}

/// A server that has the adapter loaded.
fn with_adapter() -> super::place::Place {
    let folder = scratch_home();
    let file = folder.root().join("otherwise.gguf");
    adapter(&file);
    let mut server = alphabet(&["--lora", file.to_str().unwrap()]);
    server.kept = Some(folder);
    server
}

/// What the server continues the alphabet with, under this choice of adapters.
fn continued(server: &super::place::Place, lora: Option<Vec<LoraScale>>) -> String {
    let request = CompletionRequest {
        generation: Generation {
            lora,
            cache_prompt: Some(false),
            ..Generation::default()
        },
        ..completion("abc")
    };
    server.completion(&request).unwrap().remove(0).content
}

#[test]
fn lora_adapters() {
    let server = with_adapter();
    let adapters = server.lora_adapters().unwrap();
    assert_eq!((adapters[0].id, adapters[0].scale), (0, 1.0));
    assert!(adapters[0].path.ends_with("otherwise.gguf"));
    assert!(adapters[0].extra.contains_key("prompt_prefix"));
    assert_eq!(alphabet(&[]).lora_adapters().unwrap(), []);
}

#[test]
fn set_lora_scales() {
    let server = with_adapter();
    let scales = |scale| [LoraScale { id: 0, scale }];
    assert!(server.set_lora_scales(&scales(0.0)).unwrap().success);
    assert!(server.lora_adapters().unwrap()[0].scale.abs() < f64::EPSILON);
    assert_eq!(continued(&server, None), "defg");
    // One request with the adapter, the next without.
    let otherwise = continued(&server, Some(scales(1.0).to_vec()));
    assert_ne!(otherwise, "defg");
    assert_eq!(continued(&server, None), "defg");
    server.set_lora_scales(&scales(1.0)).unwrap();
    assert_eq!(continued(&server, None), otherwise);
}
