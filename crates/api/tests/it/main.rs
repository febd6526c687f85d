//! The client against the real llama-server, one test an endpoint, and against a server that
//! misbehaves exactly as told.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod misbehaving;
mod real;
mod wire;
