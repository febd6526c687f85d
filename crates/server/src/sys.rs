//! System calls that every Unix has and the standard library has no safe door for.
#![expect(unsafe_code, reason = "a system call; the block says why it is sound")]

/// The user this process acts as.
pub(crate) fn user() -> u32 {
    // SAFETY: takes nothing, always succeeds.
    unsafe { libc::geteuid() }
}
