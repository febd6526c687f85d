//! The tables, one file each, written by `cargo xtask generate` from the data files in
//! `conventions/`.

#[rustfmt::skip]
mod core;
#[rustfmt::skip]
mod latest;
#[rustfmt::skip]
mod llamacpp;
#[rustfmt::skip]
mod openinference;
#[rustfmt::skip]
mod v1_36;
#[rustfmt::skip]
mod v1_41;

pub(crate) use self::core::CORE;
pub(crate) use latest::LATEST;
pub(crate) use llamacpp::LLAMACPP;
pub(crate) use openinference::OPENINFERENCE;
pub(crate) use v1_36::V1_36;
pub(crate) use v1_41::V1_41;
