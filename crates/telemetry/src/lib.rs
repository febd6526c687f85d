//! From a request's record to OpenTelemetry spans, on the console and over OTLP.
//!
//! [`spans`] is the mapping, pure. [`Telemetry`] is the pipeline behind it, a
//! [`Sink`](llamatelemetry_record::Sink) for records, set up by the standard `OTEL_*` variables.
//! Without any of them nothing is sent anywhere.

pub mod check;
mod config;
mod console;
mod content;
pub mod conventions;
pub mod energy;
mod error;
mod events;
mod file;
mod limits;
mod logs;
mod mapping;
pub mod metrics;
mod otlp;
mod output;
mod pipeline;
pub mod received;
pub mod recorded;
mod redact;
mod resource;
mod sampler;
mod signal;
mod stored;
mod value;

pub use conventions::{Conventions, Profile, names};
pub use error::TelemetryError;
pub use limits::SpanLimits;
pub use logs::{LogTap, TapFilter, TapLayer};
pub use mapping::{happening, spans};
pub use pipeline::{Delivery, Telemetry};
pub use resource::ResourceFacts;
pub use stored::StoreConfig;
