//! Read, check and write GGUF files.
