//! The smallest model that llama-server loads and completes with: it proves that a build runs.
//!
//! It knows the alphabet. After a letter it says the next one, after z and after anything else an a.
//! The logit of that token leads by far, so the text is the same on every processor, back end and
//! rounding, at any usual temperature. Attention and feed-forward layers have small random
//! weights: they are computed, and turn the answer only if what they compute is wrong by far.

use std::ops::RangeInclusive;

use crate::ggml::GgmlType;
use crate::owned::OwnedValue;
use crate::value::ValueType;
use crate::write::GgufWriter;

/// What to have the [proof model](proof_model) complete.
pub const PROOF_PROMPT: &str = "abc";

/// The first 16 tokens, one a letter, that it completes [`PROOF_PROMPT`] with.
pub const PROOF_TEXT: &str = "defghijklmnopqrs";

const WIDTH: usize = 64;
/// The axes that tell letters apart; the rest say that something is no letter.
const LETTER_WIDTH: usize = 56;
const FEED_FORWARD: usize = 64;
const CONTEXT: u32 = 2048;
/// `<unk>`, `<s>` and `</s>` stand before the bytes.
const SPECIAL_TOKENS: usize = 3;
const TOKENS: usize = SPECIAL_TOKENS + 256;
const LETTERS: RangeInclusive<u8> = b'a'..=b'z';

/// Range of the random weights: large enough to move every value, small enough to turn no answer.
const WEIGHT_RANGE: f32 = 0.1;

/// llama.cpp's numbers for what a token is.
mod token_type {
    pub(super) const UNKNOWN: i32 = 2;
    pub(super) const CONTROL: i32 = 3;
    pub(super) const BYTE: i32 = 6;
}

/// The file of the proof model: architecture `llama`, one layer, a token for every byte, about
/// 250 KB, the same bytes each time.
pub fn proof_model() -> Vec<u8> {
    letters_model(1)
}

/// The same model, but one that says the letter so many places later in the alphabet: a file of
/// its own for each number, told apart by what it answers.
pub fn letters_model(places: usize) -> Vec<u8> {
    // Everything the writer could refuse is fixed here, and a test writes it.
    write(places)
        .and_then(|writer| writer.to_bytes())
        .unwrap_or_default()
}

fn write(places: usize) -> Result<GgufWriter<'static>, crate::GgufError> {
    let mut writer = GgufWriter::new();
    let width = u32::try_from(WIDTH).unwrap_or(0);
    let numbers = [
        ("llama.context_length", CONTEXT),
        ("llama.embedding_length", width),
        ("llama.block_count", 1),
        (
            "llama.feed_forward_length",
            u32::try_from(FEED_FORWARD).unwrap_or(0),
        ),
        ("llama.attention.head_count", 1),
        ("llama.attention.head_count_kv", 1),
        ("llama.rope.dimension_count", width),
    ];
    writer.set("general.architecture", "llama")?;
    writer.set("general.type", "model")?;
    writer.set("general.name", "llamatelemetry proof")?;
    writer.set("general.file_type", 0_u32)?;
    for (key, number) in numbers {
        writer.set(key, number)?;
    }
    writer.set("llama.attention.layer_norm_rms_epsilon", 1e-5_f32)?;
    tokenizer(&mut writer)?;
    tensors(&mut writer, places)?;
    Ok(writer)
}

fn tokenizer(writer: &mut GgufWriter<'_>) -> Result<(), crate::GgufError> {
    let mut tokens: Vec<OwnedValue> = ["<unk>", "<s>", "</s>"].map(OwnedValue::from).into();
    tokens.extend((0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>").into()));
    let mut types = vec![
        token_type::UNKNOWN,
        token_type::CONTROL,
        token_type::CONTROL,
    ];
    types.resize(TOKENS, token_type::BYTE);
    writer.set("tokenizer.ggml.model", "llama")?;
    writer.set("tokenizer.ggml.pre", "default")?;
    let tokens = OwnedValue::Array {
        element: ValueType::String,
        items: tokens,
    };
    writer.set("tokenizer.ggml.tokens", tokens)?;
    writer.set("tokenizer.ggml.scores", vec![0.0_f32; TOKENS])?;
    writer.set("tokenizer.ggml.token_type", types)?;
    writer.set("tokenizer.ggml.unknown_token_id", 0_u32)?;
    writer.set("tokenizer.ggml.bos_token_id", 1_u32)?;
    writer.set("tokenizer.ggml.eos_token_id", 2_u32)?;
    writer.set("tokenizer.ggml.add_bos_token", true)?;
    writer.set("tokenizer.ggml.add_eos_token", false)?;
    writer.set("tokenizer.ggml.add_space_prefix", false)?;
    let template = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}";
    writer.set("tokenizer.chat_template", template)?;
    Ok(())
}

fn tensors(writer: &mut GgufWriter<'_>, places: usize) -> Result<(), crate::GgufError> {
    let embedding: Vec<f32> = (0..TOKENS).flat_map(embedding).collect();
    let output: Vec<f32> = (0..TOKENS)
        .flat_map(|token| output(token, places))
        .collect();
    let square = [WIDTH, WIDTH];
    let mut random = Random(0x6c6c_616d_6174_656c);
    add(writer, "token_embd.weight", &[WIDTH, TOKENS], &embedding)?;
    add(writer, "blk.0.attn_norm.weight", &[WIDTH], &[1.0; WIDTH])?;
    for name in ["attn_q", "attn_k", "attn_v", "attn_output"] {
        add(
            writer,
            &format!("blk.0.{name}.weight"),
            &square,
            &random.weights(WIDTH * WIDTH),
        )?;
    }
    add(writer, "blk.0.ffn_norm.weight", &[WIDTH], &[1.0; WIDTH])?;
    let weights = WIDTH * FEED_FORWARD;
    add(
        writer,
        "blk.0.ffn_gate.weight",
        &[WIDTH, FEED_FORWARD],
        &random.weights(weights),
    )?;
    add(
        writer,
        "blk.0.ffn_up.weight",
        &[WIDTH, FEED_FORWARD],
        &random.weights(weights),
    )?;
    add(
        writer,
        "blk.0.ffn_down.weight",
        &[FEED_FORWARD, WIDTH],
        &random.weights(weights),
    )?;
    add(writer, "output_norm.weight", &[WIDTH], &[1.0; WIDTH])?;
    add(writer, "output.weight", &[WIDTH, TOKENS], &output)
}

fn add(
    writer: &mut GgufWriter<'_>,
    name: &str,
    shape: &[usize],
    values: &[f32],
) -> Result<(), crate::GgufError> {
    let shape: Vec<u64> = shape.iter().map(|&axis| axis as u64).collect();
    let data: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    writer.tensor(name, &shape, GgmlType::F32, data).map(drop)
}

/// The letter that a token is, counted from a.
fn letter(token: usize) -> Option<usize> {
    let byte = u8::try_from(token.checked_sub(SPECIAL_TOKENS)?).ok()?;
    LETTERS
        .contains(&byte)
        .then(|| usize::from(byte - LETTERS.start()))
}

/// Letters have a pattern of their own; all else is alike.
fn embedding(token: usize) -> [f32; WIDTH] {
    match letter(token) {
        Some(letter) => pattern(letter),
        None => NO_LETTER,
    }
}

/// A token's row looks for the letter so many places before it; the row of a also for what is no
/// letter.
fn output(token: usize, places: usize) -> [f32; WIDTH] {
    let letters = LETTERS.len();
    let before = |letter: usize| (letter + letters - places % letters) % letters;
    match letter(token) {
        Some(0) => {
            let mut row = pattern(before(0));
            row[LETTER_WIDTH..].fill(2.0);
            row
        }
        Some(letter) => pattern(before(letter)),
        None => [0.0; WIDTH],
    }
}

const NO_LETTER: [f32; WIDTH] = {
    let mut row = [0.0; WIDTH];
    let mut axis = LETTER_WIDTH;
    while axis < WIDTH {
        row[axis] = 1.0;
        axis += 1;
    }
    row
};

/// Signs that have little in common with those of any other letter.
fn pattern(letter: usize) -> [f32; WIDTH] {
    let bits = Random(letter as u64).next();
    let mut row = [0.0; WIDTH];
    for (axis, value) in row.iter_mut().take(LETTER_WIDTH).enumerate() {
        *value = if bits >> axis & 1 == 1 { 1.0 } else { -1.0 };
    }
    row
}

/// `SplitMix64`: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn weights(&mut self, count: usize) -> Vec<f32> {
        let mut weight = || {
            // 16 bits are exact in an f32.
            let bits = u16::try_from(self.next() >> 48).unwrap_or(0);
            (f32::from(bits) / 32768.0 - 1.0) * WEIGHT_RANGE
        };
        (0..count).map(|_| weight()).collect()
    }
}
