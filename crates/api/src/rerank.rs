//! Documents scored against a query.

use crate::{Extra, TokenUsage};
use serde::{Deserialize, Serialize};

/// Documents to be scored against a query.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RerankRequest {
    /// The query.
    pub query: String,
    /// The documents.
    pub documents: Vec<String>,
    /// The best so many; all without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_n: Option<usize>,
    /// Any further fields of the endpoint, sent as they are.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Scores, the best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reranked {
    /// One a document.
    pub results: Vec<RankedDocument>,
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

/// One document's score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RankedDocument {
    /// Which document, counted from 0.
    pub index: usize,
    /// How well it answers the query, on the model's own scale.
    pub relevance_score: f64,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}
