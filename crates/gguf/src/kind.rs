//! What a file can be used for.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::GgufError;
use crate::facts::Keys;
use crate::reader::{Gguf, Tensor};

/// What a file can be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ModelKind {
    /// Continues text.
    Generative,
    /// Turns text into vectors.
    Embedding,
    /// Scores how well a text answers a query.
    Reranker,
    /// Turns images or sound into embeddings of another model (`mmproj`).
    Projector,
    /// Changes another model (`LoRA`).
    Adapter,
    /// A tokenizer without weights.
    Vocabulary,
    /// Anything else: importance matrices, speech codecs, draft heads of other models.
    Other,
}

/// How the embeddings of tokens become one embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PoolingType {
    /// Not at all: one embedding for each token.
    None,
    /// Their mean.
    Mean,
    /// That of the first token.
    Cls,
    /// That of the last token.
    Last,
    /// A score instead of an embedding.
    Rank,
    /// A number that llama.cpp b11434 does not know.
    Unknown(u32),
}

impl PoolingType {
    /// The type of a number in a file.
    pub fn from_number(number: u32) -> Self {
        match number {
            0 => Self::None,
            1 => Self::Mean,
            2 => Self::Cls,
            3 => Self::Last,
            4 => Self::Rank,
            other => Self::Unknown(other),
        }
    }
}

impl fmt::Display for PoolingType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.pad("none"),
            Self::Mean => f.pad("mean"),
            Self::Cls => f.pad("cls"),
            Self::Last => f.pad("last"),
            Self::Rank => f.pad("rank"),
            Self::Unknown(number) => write!(f, "pooling type {number}"),
        }
    }
}

impl Serialize for PoolingType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Encoders, whose files do not always name a pooling.
const ENCODERS: [&str; 12] = [
    "bert",
    "modern-bert",
    "nomic-bert",
    "nomic-bert-moe",
    "neo-bert",
    "jina-bert-v2",
    "jina-bert-v3",
    "eurobert",
    "t5encoder",
    "gemma-embedding",
    "llama-embed",
    "pangu-embed",
];

/// Models that write text without attending causally.
const DIFFUSION: [&str; 4] = ["dream", "llada", "llada-moe", "rnd1"];

/// Models that are parts of others or make no text: draft heads and speech codecs.
const PARTS: [&str; 6] = [
    "eagle3",
    "dflash",
    "gemma4-assistant",
    "wavtokenizer-dec",
    "qwen3tts",
    "pockettts",
];

pub(crate) fn kind_of<'a>(
    file: &Gguf,
    architecture: &str,
    pooling: Option<PoolingType>,
    mut tensors: impl Iterator<Item = Tensor<'a>>,
) -> Result<ModelKind, GgufError> {
    let general = Keys {
        file,
        prefix: "general",
    };
    let model = Keys {
        file,
        prefix: architecture,
    };
    match general.string("type")?.as_deref() {
        Some("adapter") => return Ok(ModelKind::Adapter),
        Some("mmproj" | "projector") => return Ok(ModelKind::Projector),
        Some("imatrix") => return Ok(ModelKind::Other),
        _ => {}
    }
    if matches!(architecture, "clip" | "mmproj") {
        return Ok(ModelKind::Projector);
    }
    let whole = file
        .get("split.count")
        .and_then(|count| count.as_u64())
        .is_none_or(|n| n <= 1);
    if whole && tensors.next().is_none() {
        let tokens = file.get("tokenizer.ggml.model").is_some();
        return Ok(if tokens {
            ModelKind::Vocabulary
        } else {
            ModelKind::Other
        });
    }
    if PARTS.contains(&architecture) {
        return Ok(ModelKind::Other);
    }
    match pooling {
        Some(PoolingType::Rank) => return Ok(ModelKind::Reranker),
        Some(PoolingType::Mean | PoolingType::Cls | PoolingType::Last) => {
            return Ok(ModelKind::Embedding);
        }
        _ => {}
    }
    if ENCODERS.contains(&architecture) {
        return Ok(ModelKind::Embedding);
    }
    let causal = model.truth("attention.causal")?.unwrap_or(true);
    if !causal && !DIFFUSION.contains(&architecture) {
        return Ok(ModelKind::Embedding);
    }
    Ok(ModelKind::Generative)
}
