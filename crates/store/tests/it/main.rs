//! The store at its boundary: what goes in comes out, whatever happens in between.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails"
)]

mod disk;
mod formats;
mod full_disk;
mod kill;
mod leaving;
mod limits;
mod messages;
mod purge;
mod queries;
mod round_trip;
mod soak;
