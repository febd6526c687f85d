//! The scanner against a running llama-server, and against streams cut anywhere.

mod baggage;
mod embeddings;
mod exchange;
mod failures;
mod phases;
mod queue;
mod server;
mod streams;
