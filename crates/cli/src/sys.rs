//! What the C library is told once, before there are other threads.

/// Heaps of the allocator. Many threads decode requests that one other thread frees: with a heap
/// for each thread, as is the default, each keeps what the others have freed, and `llt serve` takes
/// half as much memory again while it is sent telemetry, and is no faster.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAPS: libc::c_int = 2;

/// Lets threads share heaps, where the allocator is the GNU C library's.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the allocator's settings have no safe face")]
pub(crate) fn share_heaps() {
    // SAFETY: it takes two numbers and changes a setting of the allocator; no other thread runs.
    // A setting that it does not know it ignores.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS);
    }
}

/// Other allocators have no such heaps.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn share_heaps() {}
