//! Tests on what was recorded on an H200, and on a simulated device whose truth is known.

mod recorded;
mod replay;
mod simulated;
