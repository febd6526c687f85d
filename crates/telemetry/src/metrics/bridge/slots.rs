//! llama-server's `/slots`, and what of the KV cache is in use.
//!
//! A slot tells the tokens that it holds: those of the prompt and those generated since, kept after
//! the request for the next one with the same beginning. Slots that share a prefix in one pool each
//! count it, so the sum is an upper bound there.

use llamatelemetry_record::ContextPool;
use serde::Deserialize;

/// One slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Slot {
    pub(super) id: i64,
    /// Tokens that it may hold.
    n_ctx: u64,
    pub(super) is_processing: bool,
    /// Tokens that it holds. One that was never used does not say, and holds none.
    #[serde(default, rename = "n_prompt_tokens")]
    pub(super) tokens: u64,
}

/// The slots of an answer.
pub(super) fn parse(body: &[u8]) -> Option<Vec<Slot>> {
    serde_json::from_slice(body).ok()
}

/// Tokens that the KV cache has room for. `None` where that is not known.
pub(super) fn room(slots: &[Slot], pool: ContextPool) -> Option<u64> {
    match pool {
        ContextPool::PerSlot => Some(slots.iter().map(|slot| slot.n_ctx).sum()),
        ContextPool::Shared(tokens) => Some(tokens),
        ContextPool::SharedWhole => slots.iter().map(|slot| slot.n_ctx).max(),
        ContextPool::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_the_pools() {
        let body = br#"[{"id":0,"n_ctx":512,"speculative":false,"is_processing":false},
            {"id":1,"n_ctx":512,"is_processing":true,"id_task":3,"n_prompt_tokens":77}]"#;
        let slots = parse(body).expect("slots");
        let tokens: Vec<u64> = slots.iter().map(|slot| slot.tokens).collect();
        assert_eq!(tokens, [0, 77]);
        assert_eq!(room(&slots, ContextPool::PerSlot), Some(1024));
        assert_eq!(room(&slots, ContextPool::SharedWhole), Some(512));
        assert_eq!(room(&slots, ContextPool::Shared(2048)), Some(2048));
        assert_eq!(room(&slots, ContextPool::Unknown), None);
        assert_eq!(parse(b"{\"error\":{}}"), None);
    }
}
