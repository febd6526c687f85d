//! The smallest model that ranks.

use crate::folder;
use crate::place::lock;
use llamatelemetry_gguf::{GgmlType, GgufWriter, OwnedValue, ValueType};
use std::path::PathBuf;
use std::sync::OnceLock;

/// Everything that could not be written is fixed here.
const WRITABLE: &str = "a model that can be written";
const WIDTH: usize = 8;
const CONTEXT: usize = 64;
/// `▁` marks the begin of a word.
const TOKENS: [&str; 7] = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "\u{2581}good",
    "\u{2581}bad",
    "\u{2581}is",
];
const GOOD: usize = 4;

/// A file of a tiny model that ranks: it scores a text by how much of it is the word `good`, and
/// knows two more, `bad` and `is`.
pub fn ranking_model() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let _lock = lock("ranking-model");
        let file = folder().join("ranking.gguf");
        let bytes = bytes();
        if std::fs::read(&file).ok().as_ref() != Some(&bytes) {
            std::fs::write(&file, bytes).expect("the ranking model can be written");
        }
        file
    });
    file.clone()
}

/// Architecture `bert`, one layer, whose attention is alike for all tokens, so that the first
/// token, which the score is taken from, sees their mean.
fn bytes() -> Vec<u8> {
    let mut writer = GgufWriter::new();
    for (key, text) in [
        ("general.architecture", "bert"),
        ("general.name", "good texts"),
        ("tokenizer.ggml.model", "bert"),
    ] {
        writer.set(key, text).expect(WRITABLE);
    }
    for (key, number) in [
        ("bert.context_length", CONTEXT),
        ("bert.embedding_length", WIDTH),
        ("bert.block_count", 1),
        ("bert.feed_forward_length", WIDTH),
        ("bert.attention.head_count", 1),
        ("bert.pooling_type", 4),
        ("tokenizer.ggml.token_type_count", 1),
        ("tokenizer.ggml.padding_token_id", 0),
        ("tokenizer.ggml.unknown_token_id", 1),
        ("tokenizer.ggml.bos_token_id", 2),
        ("tokenizer.ggml.seperator_token_id", 3),
        ("tokenizer.ggml.eos_token_id", 3),
    ] {
        writer
            .set(key, u32::try_from(number).expect(WRITABLE))
            .expect(WRITABLE);
    }
    writer.set("bert.attention.causal", false).expect(WRITABLE);
    writer
        .set("bert.attention.layer_norm_epsilon", 1e-5_f32)
        .expect(WRITABLE);
    let tokens = OwnedValue::Array {
        element: ValueType::String,
        items: TOKENS.map(OwnedValue::from).into(),
    };
    writer.set("tokenizer.ggml.tokens", tokens).expect(WRITABLE);
    let mut types = [1_i32; TOKENS.len()];
    types[..4].fill(3);
    writer
        .set("tokenizer.ggml.token_type", types.to_vec())
        .expect(WRITABLE);

    let mut words = [0.0; TOKENS.len() * WIDTH];
    for token in 0..TOKENS.len() {
        words[token * WIDTH + usize::from(token != GOOD)] = 1.0;
    }
    let mut same = [0.0; WIDTH * WIDTH];
    for axis in 0..WIDTH {
        same[axis * WIDTH + axis] = 1.0;
    }
    let mut asked = [0.0; WIDTH];
    asked[0] = 1.0;
    let nothing = [0.0; WIDTH * WIDTH];
    let matrix = [WIDTH, WIDTH];
    let mut add = |name: &str, shape: &[usize], values: &[f32]| {
        let shape: Vec<u64> = shape.iter().map(|&axis| axis as u64).collect();
        let data: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        writer
            .tensor(name, &shape, GgmlType::F32, data)
            .expect(WRITABLE);
    };
    add("token_embd.weight", &[WIDTH, TOKENS.len()], &words);
    add("token_types.weight", &[WIDTH, 1], &[0.0; WIDTH]);
    add(
        "position_embd.weight",
        &[WIDTH, CONTEXT],
        &[0.0; WIDTH * CONTEXT],
    );
    for name in [
        "token_embd_norm",
        "blk.0.attn_output_norm",
        "blk.0.layer_output_norm",
    ] {
        add(&format!("{name}.weight"), &[WIDTH], &[1.0; WIDTH]);
        add(&format!("{name}.bias"), &[WIDTH], &[0.0; WIDTH]);
    }
    for (name, values) in [
        ("attn_q", &nothing),
        ("attn_k", &nothing),
        ("attn_v", &same),
        ("attn_output", &same),
        ("ffn_up", &nothing),
        ("ffn_down", &nothing),
    ] {
        add(&format!("blk.0.{name}.weight"), &matrix, values);
    }
    add("cls.output.weight", &[WIDTH, 1], &asked);
    writer.to_bytes().expect(WRITABLE)
}
