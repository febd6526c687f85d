//! Verified, parallel, resumable downloads; guarded unpacking; packages by way of pip.
//!
//! - [`Fetcher`] brings a file by HTTP in parallel parts. What has arrived survives `kill -9` and is
//!   used by the next attempt; the file appears under its name only when it is whole and its SHA-256
//!   is right. Of several processes that want the same file, one fetches and the others wait.
//! - [`Reachability`] bounds how long a process waits for hosts that do not answer, all together.
//! - [`HashMemory`] remembers the SHA-256 of files, so that a start never waits for hashing.
//! - [`archive`] unpacks `.tar.gz` and `.zip` without trusting them.
//! - [`pip`] brings packages through the user's own pip, with its mirror and certificate settings.
//!
//! Nothing here is async and nothing prints: long work tells a
//! [`Progress`](llamatelemetry_progress::Progress).

mod abandoned;
pub mod archive;
mod client;
mod download;
mod error;
mod fetcher;
mod hash;
pub mod pip;
mod reach;
mod reply;
mod room;
mod sys;
mod url;

pub use abandoned::{Abandoned, abandoned};
pub use archive::{Limits, Unpacked, unpack};
pub use client::Patience;
pub use error::FetchError;
pub use fetcher::{Download, Fetched, Fetcher};
pub use hash::{HashMemory, sha256_file};
pub use pip::{Pip, PipForm, PipPackage};
pub use reach::Reachability;
pub use reply::Reply;
pub use room::check_room;
pub use url::redacted;
