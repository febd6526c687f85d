//! Own one llama-server child: launch, readiness, logs, watchdog, stop.
