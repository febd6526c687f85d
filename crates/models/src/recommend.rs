//! Which models of the catalogue fit this machine's memory.
//!
//! An estimate from sizes: weights, key-value cache for the wanted context, and room for the
//! compute buffers. The launch plan computes it exactly from the file itself.

use crate::catalogue::{CatalogueEntry, catalogue};
use crate::size::bytes;
use serde::Serialize;

/// The memory that a model may use, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryAtHand {
    /// What is free of the machine's own memory.
    pub system: u64,
    /// What is free on each GPU.
    pub gpus: Vec<u64>,
    /// Tokens of context to have room for; a model that was trained for fewer gets its own.
    pub context: u32,
}

/// A model of the catalogue, and how it fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recommendation {
    /// The model.
    pub model: &'static CatalogueEntry,
    /// Bytes that it needs.
    pub needed: u64,
    /// Tokens of context that the figure counts in.
    pub context: u32,
    /// Where it fits.
    pub fit: Fit,
    /// Why, as a person would say it.
    pub reason: String,
}

/// Where a model fits, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Wholly on one GPU.
    OneGpu,
    /// Wholly on several GPUs together.
    SeveralGpus,
    /// Partly on the GPUs, the rest in the machine's memory.
    Partly,
    /// In the machine's memory.
    System,
    /// Nowhere.
    TooLarge,
}

/// Room for compute buffers and the program itself, in bytes, on each device that is used.
const OVERHEAD: u64 = 400 << 20;

/// All models of the catalogue, the best first: those that fit better, and of those that fit alike
/// the larger.
pub fn recommend(memory: &MemoryAtHand) -> Vec<Recommendation> {
    let mut all: Vec<Recommendation> = catalogue()
        .iter()
        .map(|model| judge(model, memory))
        .collect();
    all.sort_by(|left, right| {
        let larger_first = right.model.parameters.cmp(&left.model.parameters);
        let rank = |fit: Fit| {
            if fit == Fit::SeveralGpus {
                Fit::OneGpu
            } else {
                fit
            }
        };
        rank(left.fit)
            .cmp(&rank(right.fit))
            // What does not fit at all: the one that misses least first.
            .then(if left.fit == Fit::TooLarge {
                larger_first.reverse()
            } else {
                larger_first
            })
            .then(right.model.size.cmp(&left.model.size))
            .then(left.model.name.cmp(&right.model.name))
    });
    all
}

fn judge(model: &'static CatalogueEntry, memory: &MemoryAtHand) -> Recommendation {
    let context = memory.context.min(model.context);
    let cache = model.kv_bytes_per_token * u64::from(context);
    let load = model.size + cache;
    let needed = load + OVERHEAD;
    let largest = memory.gpus.iter().copied().max().unwrap_or(0);
    let usable: u64 = memory
        .gpus
        .iter()
        .map(|free| free.saturating_sub(OVERHEAD))
        .sum();
    let system = memory.system.saturating_sub(OVERHEAD);
    let what = format!(
        "{} of weights and {} of cache for {context} tokens",
        bytes(model.size),
        bytes(cache)
    );
    let (fit, place) = if needed <= largest {
        (
            Fit::OneGpu,
            format!("fit a GPU with {} free", bytes(largest)),
        )
    } else if memory.gpus.len() > 1 && load <= usable {
        let count = memory.gpus.len();
        (
            Fit::SeveralGpus,
            format!("fit {count} GPUs with {} free together", bytes(usable)),
        )
    } else if usable > 0 && load <= usable.saturating_add(system) {
        (
            Fit::Partly,
            format!("fit only in part on GPUs with {} free", bytes(usable)),
        )
    } else if usable == 0 && load <= system {
        (
            Fit::System,
            format!("fit the {} of free memory", bytes(memory.system)),
        )
    } else {
        let have = usable.saturating_add(system);
        (
            Fit::TooLarge,
            format!(
                "need {} more than there is",
                bytes(load.saturating_sub(have))
            ),
        )
    };
    Recommendation {
        model,
        needed,
        context,
        fit,
        reason: format!("{what} {place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;

    fn best(memory: &MemoryAtHand) -> (String, Fit) {
        let first = recommend(memory).into_iter().next().expect("a catalogue");
        (first.model.name.clone(), first.fit)
    }

    fn memory(system: u64, gpus: &[u64]) -> MemoryAtHand {
        MemoryAtHand {
            system: system * GB,
            gpus: gpus.iter().map(|free| free * GB).collect(),
            context: 8192,
        }
    }

    #[test]
    fn the_largest_that_fits_comes_first() {
        assert_eq!(
            best(&memory(64, &[16])),
            ("phi-4-Q4_K_M".to_owned(), Fit::OneGpu)
        );
        assert_eq!(best(&memory(64, &[8])).0, "llama-3.1-8b-Q5_K_M");
        assert_eq!(
            best(&memory(64, &[8, 8])),
            ("phi-4-Q4_K_M".to_owned(), Fit::SeveralGpus)
        );
        assert_eq!(best(&memory(4, &[])).1, Fit::System);
    }

    #[test]
    fn a_machine_without_room_gets_the_smallest_and_the_reason() {
        let all = recommend(&memory(0, &[]));
        assert!(all.iter().all(|one| one.fit == Fit::TooLarge));
        assert_eq!(all[0].model.name, "smollm2");
        assert!(
            all[0].reason.contains("more than there is"),
            "{}",
            all[0].reason
        );
    }

    #[test]
    fn a_model_is_not_given_more_context_than_it_was_trained_for() {
        let all = recommend(&memory(64, &[]));
        let tiny = all
            .iter()
            .find(|one| one.model.context == 2048)
            .expect("tinyllama");
        assert_eq!(tiny.context, 2048);
    }
}
