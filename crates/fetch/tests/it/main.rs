//! Downloads against a file server that misbehaves, hostile archives, and pip as it is here.

#![expect(
    clippy::unwrap_used,
    clippy::similar_names,
    reason = "helpers of tests fail the test that asked; a fetcher fetches what is then fetched"
)]

mod archives;
mod bench;
mod changes;
mod downloads;
mod faults;
mod limits;
mod network;
mod pip;
mod processes;
mod reach;
mod secrets;
mod watch;
mod zips;
