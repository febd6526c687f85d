//! The few system calls that the standard library does not have.
#![expect(unsafe_code, reason = "system calls; each block says why it is sound")]

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Bytes that this user can still write below a folder.
pub(crate) fn space_available(folder: &Path) -> io::Result<u64> {
    let path = CString::new(folder.as_os_str().as_bytes())?;
    let mut answer = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: `path` is a NUL-terminated string and `answer` has room for the struct; both live
    // until the call returns.
    let code = unsafe { libc::statvfs(path.as_ptr(), answer.as_mut_ptr()) };
    if code != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the struct is plain numbers, zeroed before and filled by the successful call.
    let answer = unsafe { answer.assume_init() };
    Ok(widen(answer.f_bavail).saturating_mul(widen(answer.f_frsize)))
}

/// The width of these numbers differs between systems.
fn widen(number: impl Into<u64>) -> u64 {
    number.into()
}

/// Bytes that one file of this process may have, if a resource limit says so.
pub(crate) fn file_size_limit() -> Option<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` has room for the struct and lives until the call returns.
    let code = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) };
    (code == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// Ends a whole process group at once.
pub(crate) fn kill_group(leader: u32) {
    if let Ok(leader) = libc::pid_t::try_from(leader)
        && leader > 1
    {
        // SAFETY: takes two numbers and touches no memory of ours. The group was made by the
        // caller for its own child.
        unsafe { libc::kill(-leader, libc::SIGKILL) };
    }
}

/// While held, a write beyond `RLIMIT_FSIZE` on this thread fails with `EFBIG` instead of ending
/// the process by `SIGXFSZ`. Only the thread's own signal mask is touched.
pub(crate) struct FileSizeSignal {
    before: libc::sigset_t,
}

impl FileSizeSignal {
    pub(crate) fn hold() -> Self {
        let mut before = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: both sets live until the calls return; `signals` is initialised by
        // `sigemptyset` before it is used; an all-zero `sigset_t` is valid should the call fail.
        unsafe {
            let signals = only_file_size();
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signals, before.as_mut_ptr());
            Self {
                before: before.assume_init(),
            }
        }
    }
}

impl Drop for FileSizeSignal {
    fn drop(&mut self) {
        // SAFETY: the sets and the time live until the calls return. The signal is taken before
        // the mask goes back, so one that came while it was held does not end the process now.
        unsafe {
            let signals = only_file_size();
            if libc::sigismember(&raw const self.before, libc::SIGXFSZ) == 0 {
                take_pending(&signals);
            }
            libc::pthread_sigmask(
                libc::SIG_SETMASK,
                &raw const self.before,
                std::ptr::null_mut(),
            );
        }
    }
}

fn only_file_size() -> libc::sigset_t {
    let mut signals = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: `sigemptyset` initialises the set that `sigaddset` then changes.
    unsafe {
        libc::sigemptyset(signals.as_mut_ptr());
        libc::sigaddset(signals.as_mut_ptr(), libc::SIGXFSZ);
        signals.assume_init()
    }
}

#[cfg(not(target_os = "macos"))]
fn take_pending(signals: &libc::sigset_t) {
    let now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: both pointers are to values that live until the call returns; it does not wait.
    while unsafe { libc::sigtimedwait(signals, std::ptr::null_mut(), &raw const now) } > 0 {}
}

#[cfg(target_os = "macos")]
fn take_pending(signals: &libc::sigset_t) {
    let mut pending = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    let mut taken = 0;
    // SAFETY: the pointers are to values that live until the calls return; `sigwait` is only
    // called while the signal is pending, so it does not wait.
    unsafe {
        libc::sigpending(pending.as_mut_ptr());
        if libc::sigismember(pending.as_ptr(), libc::SIGXFSZ) == 1 {
            libc::sigwait(signals, &raw mut taken);
        }
    }
}
