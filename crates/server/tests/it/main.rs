//! The server crate against the real llama-server, and against stubs where a case cannot be had.

mod attaching;
mod lifetime;
mod logs;
mod models;
mod owner;
mod restart;
mod setup;
mod starting;
mod stopping;
mod tcp;
