//! Run any GGUF model with a supervised llama-server and see what it does.
