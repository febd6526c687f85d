//! Find, fetch or build llama.cpp, and prove by running it that it works here.
//!
//! [`bootstrap`] tries the sources in a fixed order: the path the user set, our own store, `PATH`,
//! the pinned release's archive, a build from source. The first that passes the proof wins; every
//! rejection keeps its reason, and [`explain`] tells them all without making anything. What was
//! chosen stands in a lock file, so that the next start costs a few file look-ups.
//!
//! Nothing here changes this process: library paths and device masks are for the child alone.

mod attempt;
mod bootstrap;
mod build;
mod child;
mod environment;
mod error;
mod files;
mod lock;
mod pinned;
mod proof;
mod release;
mod requirements;
mod runtime;
mod search;
mod sources;
mod store;
mod tool;

pub use attempt::{Attempt, Explanation, Step, Verdict};
pub use bootstrap::{InstallOptions, bootstrap, chosen, explain, install};
pub use environment::environment;
pub use error::RuntimeError;
pub use pinned::{pinned_build, release_address};
pub use proof::{Proof, QueueSignal, Refusal, RefusalKind, Stamp};
pub use requirements::{Lack, Requirement, requirements};
pub use runtime::{Backend, Build, Device, Runtime, Source};
pub use store::{Installed, list, remove};
pub use tool::{Tool, tool};
