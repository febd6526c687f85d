//! Slots: what each does, and their caches as files.

use crate::Extra;
use serde::{Deserialize, Serialize};

/// One slot of `GET /slots`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Slot {
    /// Its number.
    pub id: u32,
    /// Its share of the context, tokens.
    pub n_ctx: u64,
    /// Whether it works on a request.
    pub is_processing: bool,
    /// Whether it can speculate.
    #[serde(default)]
    pub speculative: bool,
    /// The request it works on or worked on last.
    #[serde(default)]
    pub id_task: Option<i64>,
    /// Tokens that it holds. Missing until its first request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_prompt_tokens: Option<u64>,
    /// Tokens of that request's prompt that were evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_prompt_tokens_processed: Option<u64>,
    /// Tokens of that request's prompt that were taken from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_prompt_tokens_cache: Option<u64>,
    /// Everything else: what was set for that request, how far it is.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A slot's cache was written to a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlotSaved {
    /// The slot.
    pub id_slot: u32,
    /// The file's name.
    pub filename: String,
    /// Tokens written.
    pub n_saved: u64,
    /// Bytes written.
    pub n_written: u64,
    /// Everything else: how long it took.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A slot's cache was read from a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlotRestored {
    /// The slot.
    pub id_slot: u32,
    /// The file's name.
    pub filename: String,
    /// Tokens read.
    pub n_restored: u64,
    /// Bytes read.
    pub n_read: u64,
    /// Everything else: how long it took.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A slot's cache was emptied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlotErased {
    /// The slot.
    pub id_slot: u32,
    /// Tokens forgotten.
    pub n_erased: u64,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The name of a file in the server's own folder.
#[derive(Serialize)]
pub(crate) struct SlotFile<'a> {
    pub(crate) filename: &'a str,
}
