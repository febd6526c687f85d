//! The mapping by golden files, the pipeline against receivers, a collector and nobody.

mod backends;
mod console;
mod delivery;
mod log;
mod mapping;
mod receiver;
mod sample;
mod variables;
