//! Bodies that come packed, without trust in how large they become.

use super::Refused;
use flate2::bufread::MultiGzDecoder;
use std::io::{Error, Read};

/// Memory is asked for in pieces of this many bytes.
const PIECE: usize = 256 << 10;
/// Memory that zstd may want for looking back, as a power of two: what its format recommends that
/// every reader has.
const WINDOW: u32 = 23;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Identity,
    /// `gzip`.
    Gzip,
    /// `zstd`.
    Zstd,
}

impl Compression {
    /// By the name that HTTP and gRPC use.
    pub fn named(name: &str) -> Option<Self> {
        match name.trim() {
            "" | "identity" => Some(Self::Identity),
            name if name.eq_ignore_ascii_case("gzip") => Some(Self::Gzip),
            name if name.eq_ignore_ascii_case("zstd") => Some(Self::Zstd),
            _ => None,
        }
    }

    /// What is understood, for `Accept-Encoding` and `grpc-accept-encoding`.
    pub const NAMES: &'static str = "gzip, zstd, identity";
}

pub(super) fn unpack(
    compression: Compression,
    bytes: Vec<u8>,
    limit: usize,
    reserve: &mut dyn FnMut(usize) -> bool,
) -> Result<Vec<u8>, Refused> {
    match compression {
        Compression::Identity if bytes.len() > limit => Err(Refused::TooLarge { limit }),
        Compression::Identity => Ok(bytes),
        Compression::Gzip => read(MultiGzDecoder::new(bytes.as_slice()), limit, reserve),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes.as_slice())
                .map_err(Refused::Packed)?;
            decoder.window_log_max(WINDOW).map_err(Refused::Packed)?;
            if !reserve(1 << WINDOW) {
                return Err(Refused::Busy);
            }
            read(decoder, limit, reserve)
        }
    }
}

fn read(
    mut from: impl Read,
    limit: usize,
    reserve: &mut dyn FnMut(usize) -> bool,
) -> Result<Vec<u8>, Refused> {
    let mut unpacked = Vec::new();
    let mut held = 0;
    loop {
        if unpacked.len() == held {
            if held > limit {
                return Err(Refused::TooLarge { limit });
            }
            // Twice as much each time, as a vector grows, and never more than one byte too many.
            let more = held.max(PIECE).min(limit + 1 - held);
            if !reserve(more) {
                return Err(Refused::Busy);
            }
            unpacked.reserve_exact(more);
            held += more;
        }
        let room = (held - unpacked.len()) as u64;
        match from.by_ref().take(room).read_to_end(&mut unpacked) {
            Ok(0) => return Ok(unpacked),
            Ok(_) => {}
            Err(error) => return Err(Refused::Packed(Error::new(error.kind(), error.to_string()))),
        }
    }
}
