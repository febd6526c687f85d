//! The mapping by golden files, the pipeline against receivers, a collector and nobody.

mod console;
mod delivery;
mod log;
mod mapping;
mod receiver;
mod rotel;
mod sample;
mod variables;
