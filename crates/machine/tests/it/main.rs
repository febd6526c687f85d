//! The sampler between processes, and what it costs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cost;
mod sharing;
