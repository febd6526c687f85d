//! Tests of the settings crate at its public face.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod config_file;
mod documents;
mod hub;
mod layering;
mod samples;
mod served_models;
