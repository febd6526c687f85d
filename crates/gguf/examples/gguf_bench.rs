//! Measures reading a file as large in metadata as models of today are.
//!
//! ```text
//! gguf_bench --generate FILE    writes a file with 128k tokens and 280k merges
//! gguf_bench FILE               reads it and prints a JSON document
//! ```
//!
//! `lazy_open_ms` is [`Gguf::open`], `decode_check_ms` that and [`Gguf::check`], `digest_ms` opening
//! and decoding everything once more into the digest that `benches/peer_gguf.py` takes, too: each
//! the median of the runs, the file in the page cache.

#[path = "../tests/it/digest.rs"]
mod digest;

use std::error::Error;
use std::time::Instant;

use llamatelemetry_gguf::{GgmlType, Gguf, GgufError, GgufWriter};
use serde_json::json;

const TOKENS: usize = 128_256;
const MERGES: usize = 280_147;
const LAYERS: usize = 32;
const RUNS: usize = 31;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--generate", path] => Ok(generate()?.write(path)?),
        [path] => measure(path),
        _ => Err("usage: gguf_bench [--generate] FILE".into()),
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn measure(path: &str) -> Result<(), Box<dyn Error>> {
    let open = median(|| Gguf::open(path).map(drop))?;
    let check = median(|| Gguf::open(path)?.check().map(drop))?;
    let digest = median(|| Gguf::open(path).map(|file| drop(digest::of_file(&file))))?;
    let file = Gguf::open(path)?;
    let report = file.check()?;
    let document = json!({
        "bytes": file.file_length(),
        "keys": report.keys,
        "strings": report.strings,
        "numbers": report.numbers,
        "tensors": report.tensors,
        "notes": report.notes.len(),
        "runs": RUNS,
        "lazy_open_ms": open,
        "decode_check_ms": check,
        "digest_ms": digest,
        "digest": digest::of_file(&file),
    });
    println!("{document}");
    Ok(())
}

/// The median time of a call in milliseconds.
fn median(call: impl Fn() -> Result<(), GgufError>) -> Result<f64, GgufError> {
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let started = Instant::now();
        call()?;
        times.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[RUNS / 2])
}

/// A model of 32 layers with the vocabulary of a large one and hardly any weights.
fn generate() -> Result<GgufWriter<'static>, GgufError> {
    let mut words = Words(0x5eed);
    let tokens: Vec<String> = (0..TOKENS).map(|_| words.word()).collect();
    let merges: Vec<String> = (0..MERGES)
        .map(|_| format!("{} {}", words.word(), words.word()))
        .collect();
    let scores: Vec<f32> = (0_u16..)
        .cycle()
        .take(TOKENS)
        .map(|rank| -f32::from(rank))
        .collect();
    let mut writer = GgufWriter::new();
    writer.set("general.architecture", "llama")?;
    writer.set("general.name", "benchmark")?;
    writer.set("llama.block_count", 32_u32)?;
    writer.set("llama.context_length", 131_072_u32)?;
    writer.set("llama.embedding_length", 256_u32)?;
    writer.set("llama.attention.head_count", 32_u32)?;
    writer.set("llama.attention.head_count_kv", vec![8_u32; LAYERS])?;
    writer.set("tokenizer.ggml.model", "gpt2")?;
    writer.set("tokenizer.ggml.pre", "llama-bpe")?;
    writer.set("tokenizer.ggml.tokens", tokens)?;
    writer.set("tokenizer.ggml.scores", scores)?;
    writer.set("tokenizer.ggml.token_type", vec![1_i32; TOKENS])?;
    writer.set("tokenizer.ggml.merges", merges)?;
    writer.set("tokenizer.ggml.add_bos_token", true)?;
    writer.set(
        "tokenizer.chat_template",
        "{% for message in messages %}…{% endfor %}".repeat(50),
    )?;
    for layer in 0..LAYERS {
        for name in ["attn_norm", "ffn_norm"] {
            let data = words.bytes(4 * 256);
            writer.tensor(
                format!("blk.{layer}.{name}.weight"),
                &[256],
                GgmlType::F32,
                data,
            )?;
        }
        for name in [
            "attn_q",
            "attn_k",
            "attn_v",
            "attn_output",
            "ffn_gate",
            "ffn_up",
            "ffn_down",
        ] {
            let data = words.bytes(16 * 144);
            let name = format!("blk.{layer}.{name}.weight");
            writer.tensor(name, &[256, 16], GgmlType::Q4_K, data)?;
        }
    }
    writer.tensor(
        "output_norm.weight",
        &[256],
        GgmlType::F32,
        words.bytes(4 * 256),
    )?;
    writer.tensor(
        "output.weight",
        &[256, 16],
        GgmlType::Q6_K,
        words.bytes(16 * 210),
    )?;
    Ok(writer)
}

/// Words of nothing, the same each time, as long as tokens are and as seldom plain ASCII.
struct Words(u64);

impl Words {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(0x0001_4057_b7ef_767f);
        self.0 >> 33
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        let (start, length) = (self.next(), self.next());
        if start % 2 == 0 {
            word.push('Ġ');
        }
        for _ in 0..=length % 6 {
            let letter = self.next();
            let (first, count) = if start % 16 == 1 {
                (0x4E00, 2000)
            } else {
                (0x61, 26)
            };
            word.extend(
                u32::try_from(first + letter % count)
                    .ok()
                    .and_then(char::from_u32),
            );
        }
        word
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.next().to_le_bytes()[0])
            .take(count)
            .collect()
    }
}
