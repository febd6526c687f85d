//! Adapters that the server has loaded.

use crate::Extra;
use serde::{Deserialize, Serialize};

/// One adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoraAdapter {
    /// Its number.
    pub id: u32,
    /// Its file, as the server was given it.
    pub path: String,
    /// How much of it is applied; 0 none, 1 all.
    pub scale: f64,
    /// Everything else: what the file says of it.
    #[serde(flatten)]
    pub extra: Extra,
}

/// How much of an adapter to apply.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LoraScale {
    /// Its number.
    pub id: u32,
    /// 0 none, 1 all.
    pub scale: f64,
}
