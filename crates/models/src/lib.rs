//! From a model's name to a verified local GGUF file.
//!
//! [`ensure`] is the one way in: it takes any form of name (a path, a name of the
//! [`catalogue()`], a repository of the model hub, an address, a package of the Python registry, a
//! model of Ollama's or LM Studio's), brings the files here if they are not, and returns a
//! [`LocalModel`] whose header has been looked at. Bytes are verified against the SHA-256 that
//! their source promises while they arrive; a start never waits for hashing.

mod catalogue;
mod context;
mod digest;
mod ensure;
mod error;
mod files;
mod folders;
mod header;
mod hub;
mod in_use;
mod inventory;
mod ledger;
mod local;
mod model;
mod name;
mod ollama;
mod package;
mod prune;
mod recommend;
mod remove;
mod show;
mod size;
mod store;
mod url;
mod verify;
mod wheel;

pub use catalogue::{CatalogueEntry, CatalogueSource, HubSource, WheelSource, catalogue, search};
pub use ensure::{ensure, find, hold, pull};
pub use error::{ModelError, TokenSent};
pub use header::NotGguf;
pub use hub::endpoint as hub_address;
pub use in_use::UseMark;
pub use inventory::{FoundModel, Hashing, list, list_with};
pub use model::{LocalModel, ModelSource};
pub use name::{HubChoice, HubName, ModelName, PipName, UrlName};
pub use prune::{Kept, PruneOptions, PruneReport, Pruned, Scope, prune};
pub use recommend::{Fit, MemoryAtHand, Recommendation, recommend};
pub use remove::{Force, Removed, pin, remove, unpin};
pub use show::{ModelReport, show};
pub use size::bytes;
pub use verify::{FileVerdict, Verdict, Verification, hash, verify};
