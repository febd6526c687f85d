//! From a model's name to a verified local GGUF file.
