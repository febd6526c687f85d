//! Models by every form of name, on scratch homes and local servers.

mod full;
mod hub;
mod keeping;
mod killed;
mod local;
mod made;
mod others;
mod real;
mod refused;
mod shared;
