//! Downloads against a file server that misbehaves, hostile archives, and pip as it is here.

mod archives;
mod bench;
mod changes;
mod downloads;
mod faults;
mod limits;
mod pip;
mod processes;
mod reach;
mod secrets;
mod watch;
