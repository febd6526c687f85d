//! The mapping by golden files, the pipeline against receivers, a collector and nobody.

mod backends;
mod console;
mod delivery;
mod file;
mod log;
mod mapping;
mod presets;
mod receiver;
mod sample;
mod spool;
mod variables;
