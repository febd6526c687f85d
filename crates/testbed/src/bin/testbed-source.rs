//! Unpacks llama.cpp's source tree if it is not there and prints where it is.

use llamatelemetry_testbed as testbed;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;

fn main() -> std::io::Result<()> {
    let mut path = testbed::llama_source().as_os_str().as_bytes().to_vec();
    path.push(b'\n');
    std::io::stdout().write_all(&path)
}
