//! For tests only: a cached runtime and model, a stub upstream, a faulty file server.
