//! Where a runtime comes from, seen from outside.

mod build;
mod network;
mod place;
mod refusal;
mod release;
mod store;
mod wheel;
