//! The server crate against the real llama-server, and against stubs where a case cannot be had.
mod real;
