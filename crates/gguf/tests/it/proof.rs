//! The proof model, and llama-server with it.

use llamatelemetry_gguf::{GgmlType, Gguf, ModelKind, PROOF_PROMPT, PROOF_TEXT, proof_model};
use serde_json::json;

use crate::digest::of_file;
use crate::place;
use crate::server::Server;

/// Runtimes are remembered as proved by this very file: whoever changes it changes this, too.
const DIGEST: &str = "3920e559066a2b15b06dacb17b43b7a8e936abec78c0445dbfa8316e4581bc56";

#[test]
fn it_is_small_whole_and_always_the_same() {
    let bytes = proof_model();
    assert_eq!(bytes, proof_model());
    assert!(bytes.len() < 300 * 1024, "{} bytes", bytes.len());
    let file = Gguf::from_bytes(bytes).expect("it opens");
    let report = file.check().expect("it decodes");
    assert!(report.notes.is_empty(), "{:?}", report.notes);
    let facts = file.facts().expect("facts");
    assert_eq!((facts.kind, facts.layers), (ModelKind::Generative, Some(1)));
    assert_eq!(
        (facts.vocabulary, facts.context_length),
        (Some(259), Some(2048))
    );
    assert_eq!(facts.quantization.len(), 1);
    assert_eq!(facts.quantization[0].ggml_type, GgmlType::F32);
    assert_eq!(of_file(&file), DIGEST);
}

#[test]
fn its_answer_leads_by_far() {
    let file = Gguf::from_bytes(proof_model()).expect("it opens");
    let rows = |name| -> Vec<Vec<f32>> {
        let data = file
            .tensor(name)
            .and_then(|tensor| tensor.data())
            .expect("there");
        let numbers = data
            .chunks(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("4")));
        let numbers: Vec<f32> = numbers.collect();
        numbers.chunks(64).map(<[f32]>::to_vec).collect()
    };
    let (embeddings, outputs) = (rows("token_embd.weight"), rows("output.weight"));
    let first = 3 + usize::from(b'a');
    let letters = first..first + 26;
    for (token, embedding) in embeddings.iter().enumerate() {
        let expected = match token {
            letter if letters.contains(&letter) => first + (letter - first + 1) % 26,
            _ => first,
        };
        // What reaches the output if attention and feed-forward add nothing: the embedding,
        // normalised.
        let square: f32 = embedding.iter().map(|x| x * x).sum();
        let scale = (64.0 / square).sqrt();
        let logits = outputs.iter().map(|row| -> f32 {
            row.iter()
                .zip(embedding)
                .map(|(weight, x)| weight * x * scale)
                .sum()
        });
        let logits: Vec<f32> = logits.collect();
        let others = logits
            .iter()
            .enumerate()
            .filter(|&(other, _)| other != expected);
        let best = others.map(|(_, logit)| *logit).fold(f32::MIN, f32::max);
        assert!(
            logits[expected] > best + 20.0,
            "token {token}: {} {best}",
            logits[expected]
        );
    }
}

#[test]
fn llama_server_completes_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = folder.path().join("proof.gguf");
    std::fs::write(&model, proof_model()).expect("written");
    let Some(server) = Server::start(&model) else {
        return place::skip("LLAMATELEMETRY_TEST_LLAMA_SERVER names no llama-server");
    };
    let reply = server.complete(&json!({
        "prompt": PROOF_PROMPT, "n_predict": PROOF_TEXT.len(), "temperature": 0.0,
    }));
    assert_eq!(reply["content"], PROOF_TEXT);
    // The text is the same where the server samples, and after what is no letter.
    let reply = server.complete(&json!({
        "prompt": "Hello, 世界!", "n_predict": 30, "temperature": 1.0, "seed": 1,
    }));
    assert_eq!(reply["content"], "abcdefghijklmnopqrstuvwxyzabcd");
    server.assert_agrees(&model);
}

#[test]
fn llama_server_agrees_about_a_real_model() {
    let Some(model) = place::model() else {
        return place::skip("LLAMATELEMETRY_TEST_MODEL names no model");
    };
    let Some(server) = Server::start(&model) else {
        return place::skip("LLAMATELEMETRY_TEST_LLAMA_SERVER names no llama-server");
    };
    server.assert_agrees(&model);
}
