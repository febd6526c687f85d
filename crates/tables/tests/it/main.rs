//! The tables over stores on a real disk.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod document;
mod parquet;
mod pushdown;
mod questions;
mod sample;
