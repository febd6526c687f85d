//! How much memory a call asks for at once.

use crate::sys::LARGEST;

/// The largest piece of memory, in bytes, that `call` asked for on this thread, and its result.
pub(crate) fn largest<T>(call: impl FnOnce() -> T) -> (usize, T) {
    LARGEST.set(0);
    let result = call();
    (LARGEST.get(), result)
}

#[test]
fn the_largest_piece_is_seen() {
    let (size, buffer) = largest(|| Vec::<u8>::with_capacity(123_456));
    assert_eq!(size, 123_456);
    drop(buffer);
}
