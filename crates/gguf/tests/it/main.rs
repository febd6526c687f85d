//! The reader and writer against files of every kind, the package `gguf` and llama-server.

mod allocation;
mod cases;
mod digest;
mod facts;
mod files;
mod limits;
mod malformed;
mod oracle;
mod place;
mod proof;
mod properties;
mod server;
mod split;
mod sys;
mod truncation;
