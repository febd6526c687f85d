//! For tests only: a cached runtime and model, a stub upstream, a faulty file server, servers of
//! others.
//!
//! Tests run on loopback only and never in the user's home. [`home`] is shared by all tests and
//! only read; [`scratch_home`] is a test's own. What cannot run on a machine says so through
//! [`skip`]. What goes wrong here fails the test that asked, so functions panic freely.

#![expect(
    clippy::missing_panics_doc,
    reason = "every function here panics to fail the test that asked"
)]

mod backend;
mod environment;
mod file_server;
mod place;
#[cfg(feature = "prepared")]
mod prepared;
mod ranker;
mod scratch;
mod skip;
mod source;
mod stub;
mod told;
mod tools;
mod wait;

pub use backend::Backend;
pub use environment::environment;
pub use file_server::{Faults, FileServer, Seen, Served};
pub use place::{folder, home, repository};
#[cfg(feature = "prepared")]
pub use prepared::{runtime, smollm2};
pub use ranker::ranking_model;
pub use scratch::{ScratchHome, scratch_home, settings};
pub use skip::skip;
pub use source::{llama_source, proof_model};
pub use stub::{StubReply, StubRequest, StubServer};
pub use told::Told;
pub use tools::{mlflow, phoenix, prometheus, promtool, python, rotel, tables};
pub use wait::until;
