//! Where a runtime comes from, seen from outside.

#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a helper fails the test that asked"
)]

mod build;
mod network;
mod place;
mod refusal;
mod release;
mod store;
mod wheel;
