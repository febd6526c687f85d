//! Texts into vectors.

use crate::{Extra, Prompt, TokenUsage};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// Texts to be turned into vectors, each into one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingsRequest {
    /// One text or several.
    pub input: Prompt,
    /// How vectors are scaled. Without, the server's own: Euclidean.
    #[serde(
        rename = "embd_normalize",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub normalize: Option<i32>,
    /// Any further fields of the endpoint, sent as they are. An `encoding_format` has no effect:
    /// vectors travel in base64, which is exact and a quarter of the size.
    #[serde(flatten)]
    pub extra: Extra,
}

impl EmbeddingsRequest {
    /// `normalize` of vectors as the model makes them.
    pub const AS_THEY_ARE: i32 = -1;
    /// `normalize` of vectors of Euclidean length 1.
    pub const EUCLIDEAN: i32 = 2;

    /// These texts, with the server's defaults.
    pub fn new(input: impl Into<Prompt>) -> Self {
        Self {
            input: input.into(),
            normalize: None,
            extra: Extra::new(),
        }
    }
}

/// `encoding_format` behind the caller's own fields.
#[derive(Serialize)]
pub(crate) struct Encoded<'a> {
    #[serde(flatten)]
    pub(crate) request: &'a EmbeddingsRequest,
    pub(crate) encoding_format: &'static str,
}

/// The vectors of one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Embeddings {
    /// One a text, in their order.
    pub data: Vec<Embedding>,
    /// The model as the server names it.
    #[serde(default)]
    pub model: String,
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<TokenUsage>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The vector of one text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Embedding {
    /// Which text.
    pub index: usize,
    /// The vector.
    #[serde(deserialize_with = "vector")]
    pub embedding: Vec<f32>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What `/embedding` makes of one text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextEmbedding {
    /// Which text.
    pub index: usize,
    /// One vector, or without pooling one for each token.
    pub embedding: Vec<Vec<f32>>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A vector as numbers, or as the bytes of little-endian `f32` in base64.
fn vector<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Numbers(Vec<f32>),
        Base64(String),
    }
    let text = match Form::deserialize(deserializer)? {
        Form::Numbers(numbers) => return Ok(numbers),
        Form::Base64(text) => text,
    };
    let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(D::Error::custom("the vector ends within a number"));
    }
    Ok(numbers.iter().copied().map(f32::from_le_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_comes_in_both_forms_and_is_never_cut() {
        let read = |embedding: &str| {
            let json = format!(r#"{{"index":0,"embedding":{embedding},"object":"embedding"}}"#);
            serde_json::from_str::<Embedding>(&json)
        };
        let numbers = read("[1.0,-2.5]").unwrap();
        assert_eq!(numbers.embedding, [1.0, -2.5]);
        assert_eq!(numbers.extra["object"], "embedding");
        assert_eq!(read("\"AACAPwAAIMA=\"").unwrap().embedding, [1.0, -2.5]);
        assert!(read("\"AACAPwA=\"").is_err());
        assert!(read("\"?\"").is_err());
    }
}
