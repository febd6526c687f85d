//! Tokens: of a text, of a conversation, and back.

use crate::Extra;
use serde::{Deserialize, Serialize};

/// A text to be cut into tokens. Fields that are `None` are not sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenizeRequest {
    /// The text.
    pub content: String,
    /// Whether to add the model's begin-of-sequence token; not unless asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub add_special: Option<bool>,
    /// Whether texts that look like special tokens are special tokens; yes unless told otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parse_special: Option<bool>,
    /// Any further fields of the endpoint, sent as they are.
    #[serde(flatten)]
    pub extra: Extra,
}

impl TokenizeRequest {
    /// This text, with the server's defaults.
    pub fn new(content: impl Into<String>) -> Self {
        Self {
            content: content.into(),
            ..Self::default()
        }
    }
}

/// `with_pieces` beside the caller's own fields.
#[derive(Serialize)]
pub(crate) struct WithPieces<'a> {
    #[serde(flatten)]
    pub(crate) request: &'a TokenizeRequest,
    pub(crate) with_pieces: bool,
}

/// A text's tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    /// Number and text of each.
    pub tokens: Vec<Token>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Tokens {
    /// The numbers alone.
    pub fn ids(&self) -> Vec<i64> {
        self.tokens.iter().map(|token| token.id).collect()
    }
}

/// One token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Its number in the vocabulary.
    pub id: i64,
    /// What it stands for.
    pub piece: Piece,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What a token stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Piece {
    /// Whole characters.
    Text(String),
    /// Bytes that are no whole characters.
    Bytes(Vec<u8>),
}

impl Piece {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// Tokens to be put together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DetokenizeRequest {
    /// Their numbers.
    pub tokens: Vec<i64>,
    /// Any further fields of the endpoint, sent as they are.
    #[serde(flatten)]
    pub extra: Extra,
}

impl From<Vec<i64>> for DetokenizeRequest {
    fn from(tokens: Vec<i64>) -> Self {
        Self {
            tokens,
            extra: Extra::new(),
        }
    }
}

/// What tokens stand for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Detokenized {
    /// The text.
    pub content: String,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A conversation as the model's template writes it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Templated {
    /// What the model would be given.
    pub prompt: String,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How many tokens a request's prompt has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenCount {
    /// So many.
    pub input_tokens: u64,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}
