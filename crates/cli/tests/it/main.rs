//! The program as its users meet it: what is typed, what comes out, and how it ends.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod canary;
mod chat;
mod doctor;
mod full_disk;
mod gguf;
mod help;
mod keys;
mod life;
mod llt;
mod mistakes;
mod models;
mod no_compiler;
mod no_network;
mod recorded;
mod runtime;
mod serve;
mod settings;
mod signals;
mod texts;
mod trace;
