//! From a request's record to OpenTelemetry spans, on the console and over OTLP.
