//! The one unsafe thing: mapping a file into memory.
#![expect(unsafe_code, reason = "memory-mapping a file is unsafe by nature")]

use std::fs::File;
use std::io;

use memmap2::Mmap;

/// A read-only mapping of a whole file, with the length it had when it was mapped.
pub(crate) fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: The mapping is private to this crate, read-only and never handed out as mutable.
    // Rust cannot know whether another process changes or truncates the file meanwhile. Changed
    // bytes are only ever interpreted as integers and raw byte slices, for which every bit pattern
    // is valid, and every length is checked against the mapping each time it is used. Truncation
    // makes later access fail with SIGBUS, as the documentation of `Gguf::open` tells the caller.
    unsafe { Mmap::map(file) }
}
