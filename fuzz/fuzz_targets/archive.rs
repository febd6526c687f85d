//! Any bytes are an archive that can be walked or one that is refused with a reason: no panic, no
//! endless work, no memory that the limits do not allow.
#![no_main]

use libfuzzer_sys::fuzz_target;
use llamatelemetry_fetch::archive::{check_tar_gz, check_zip};
use llamatelemetry_fetch::{FetchError, Limits};
use std::io::{Cursor, Write};

const LIMITS: Limits = Limits {
    entries: 100,
    bytes: 4 << 20,
    ratio: 200,
};

fuzz_target!(|bytes: &[u8]| {
    for verdict in [
        check_zip(Cursor::new(bytes), &LIMITS),
        check_tar_gz(bytes, &LIMITS),
        // Behind the compression, which no mutation survives.
        check_tar_gz(&*packed(bytes), &LIMITS),
    ] {
        match verdict {
            Ok(entries) => assert!(entries <= LIMITS.entries),
            Err(FetchError::Archive { reason, .. }) => assert!(!reason.is_empty()),
            Err(other) => panic!("{other:?}"),
        }
    }
});

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).expect("memory takes everything");
    packer.finish().expect("memory takes everything")
}
