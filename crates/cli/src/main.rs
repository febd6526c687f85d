//! The command line program `llt`.
fn main() {}
