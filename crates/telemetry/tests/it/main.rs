//! The mapping by golden files, the pipeline against receivers, a collector and nobody.

mod backends;
mod causes;
mod check;
mod console;
mod delivery;
mod ending;
mod file;
mod joules;
mod log;
mod mapping;
mod metrics;
mod presets;
mod profiles;
mod receiver;
mod sample;
mod spool;
mod variables;
