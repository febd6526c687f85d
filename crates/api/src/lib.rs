//! A typed client of the llama-server HTTP API.
