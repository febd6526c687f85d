//! Models by every form of name, on scratch homes.

mod real;
mod scratch;
