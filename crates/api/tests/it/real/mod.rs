//! One test an endpoint, against the real llama-server. A test is named for the method of
//! [`Endpoints`](llamatelemetry_api::Endpoints) that it shows; of those that stream a second one,
//! `NAME_cut`, is cut off in the middle and sees the slot free again.

mod anthropic;
mod asking;
mod chat;
mod completions;
mod conversations;
mod place;
mod router;
mod senses;
mod state;
mod tokens;
mod tools;
mod vectors;
