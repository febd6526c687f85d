//! The few calls into the C library.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Version of the GNU C library that this process runs with.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "a call into the C library")]
pub(crate) fn glibc_version() -> Option<String> {
    // SAFETY: the function takes nothing and returns a NUL-ended string that lives as long as the
    // process.
    let text = unsafe { CStr::from_ptr(libc::gnu_get_libc_version()) };
    text.to_str().ok().map(str::to_owned)
}

/// There is no GNU C library.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn glibc_version() -> Option<String> {
    None
}

/// What `uname -r` prints.
#[expect(unsafe_code, reason = "a call into the C library")]
pub(crate) fn kernel_release() -> Option<String> {
    let mut name = std::mem::MaybeUninit::<libc::utsname>::zeroed();
    // SAFETY: the pointer is to a whole `utsname`, which the call fills.
    if unsafe { libc::uname(name.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: zeroes are a valid `utsname`, and the call succeeded.
    let name = unsafe { name.assume_init() };
    let bytes: Vec<u8> = name
        .release
        .iter()
        .map(|character| character.to_ne_bytes()[0])
        .collect();
    let text = CStr::from_bytes_until_nul(&bytes).ok()?.to_str().ok()?;
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

/// Bytes free for this user on the file system that holds `path`, which must exist.
#[expect(unsafe_code, reason = "a call into the C library")]
pub(crate) fn statvfs_free(path: &Path) -> io::Result<u64> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    let mut figures = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: `path` ends in NUL, and the pointer is to a whole `statvfs`, which the call fills.
    if unsafe { libc::statvfs(path.as_ptr(), figures.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroes are a valid `statvfs`, and the call succeeded.
    let figures = unsafe { figures.assume_init() };
    #[cfg_attr(
        target_os = "linux",
        expect(
            clippy::useless_conversion,
            reason = "the field types differ between systems"
        )
    )]
    Ok(u64::from(figures.f_bavail).saturating_mul(u64::from(figures.f_frsize)))
}

/// Nanoseconds of a clock; 0 for one that the system lacks.
#[expect(unsafe_code, reason = "a call into the C library")]
fn clock(id: libc::clockid_t) -> u64 {
    let mut time = std::mem::MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: the pointer is to a whole `timespec`, which the call fills.
    if unsafe { libc::clock_gettime(id, time.as_mut_ptr()) } != 0 {
        return 0;
    }
    // SAFETY: zeroes are a valid `timespec`, and the call succeeded.
    let time = unsafe { time.assume_init() };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanoseconds)
}

/// Nanoseconds of the clock that `Instant` shows.
pub(crate) fn monotonic_nanoseconds() -> u64 {
    #[cfg(not(target_os = "macos"))]
    return clock(libc::CLOCK_MONOTONIC);
    #[cfg(target_os = "macos")]
    return clock(libc::CLOCK_UPTIME_RAW);
}

/// Processor time that the calling thread has used.
pub(crate) fn thread_time() -> Duration {
    Duration::from_nanos(clock(libc::CLOCK_THREAD_CPUTIME_ID))
}

#[expect(unsafe_code, reason = "a call into the C library")]
fn configured(name: libc::c_int) -> Option<u64> {
    // SAFETY: the call takes a number and touches no memory of ours.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value).ok().filter(|value| *value > 0)
}

/// Units of processor time in a second, as `/proc` counts them.
pub(crate) fn clock_ticks() -> u64 {
    configured(libc::_SC_CLK_TCK).unwrap_or(100)
}

/// Bytes in a page of memory.
pub(crate) fn page_size() -> u64 {
    configured(libc::_SC_PAGESIZE).unwrap_or(4096)
}

/// Waits until one of these can be read (or was closed), and says which can.
#[expect(unsafe_code, reason = "a call into the C library")]
pub(crate) fn wait_readable(
    descriptors: &[BorrowedFd<'_>],
    limit: Duration,
) -> io::Result<Vec<bool>> {
    let mut entries: Vec<libc::pollfd> = descriptors
        .iter()
        .map(|descriptor| libc::pollfd {
            fd: descriptor.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let count = libc::nfds_t::try_from(entries.len()).map_err(io::Error::other)?;
    // Rounded up: a wait that ends a moment early would be begun again at once.
    let limit = libc::c_int::try_from(limit.as_micros().div_ceil(1000)).unwrap_or(libc::c_int::MAX);
    // SAFETY: the pointer and the count are of one array, and its descriptors are open as long as
    // they are borrowed.
    if unsafe { libc::poll(entries.as_mut_ptr(), count, limit) } < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(entries.iter().map(|entry| entry.revents != 0).collect())
}

/// Connects to a socket without waiting: where its queue is full, that is an error. The connection
/// does not block either.
#[expect(unsafe_code, reason = "calls into the C library")]
pub(crate) fn connect(path: &Path) -> io::Result<UnixStream> {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = path.as_os_str().as_bytes();
    let mut address = std::mem::MaybeUninit::<libc::sockaddr_un>::zeroed();
    // SAFETY: zeroes are a valid `sockaddr_un`.
    let address = unsafe { address.assume_init_mut() };
    // One byte stays for the NUL at the end.
    if bytes.len() >= address.sun_path.len() || bytes.contains(&0) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    address.sun_family = libc::sa_family_t::try_from(libc::AF_UNIX).map_err(io::Error::other)?;
    for (place, byte) in address.sun_path.iter_mut().zip(bytes) {
        *place = libc::c_char::from_ne_bytes([*byte]);
    }
    let length =
        libc::socklen_t::try_from(size_of::<libc::sockaddr_un>()).map_err(io::Error::other)?;
    #[cfg(target_os = "linux")]
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    #[cfg(not(target_os = "linux"))]
    let kind = libc::SOCK_STREAM;
    // SAFETY: the call takes numbers and touches no memory of ours.
    let descriptor = unsafe { libc::socket(libc::AF_UNIX, kind, 0) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open, and nobody else has it.
    let stream = UnixStream::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
    #[cfg(not(target_os = "linux"))]
    // SAFETY: the descriptor is open, and the call touches no memory of ours.
    if unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    stream.set_nonblocking(true)?;
    // SAFETY: the pointer is to a whole `sockaddr_un` of this length, and the descriptor is open.
    if unsafe { libc::connect(descriptor, std::ptr::from_ref(address).cast(), length) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(stream)
}

/// A number or text that the macOS kernel gives under this name.
#[cfg(target_os = "macos")]
#[expect(unsafe_code, reason = "a call into the C library")]
fn sysctl(name: &CStr) -> Option<Vec<u8>> {
    let mut buffer = vec![0_u8; 256];
    let mut length = buffer.len();
    // SAFETY: `name` ends in NUL, the buffer is `length` bytes long, and nothing is set.
    let status = unsafe {
        libc::sysctlbyname(
            name.as_ptr(),
            buffer.as_mut_ptr().cast(),
            &mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    (status == 0).then(|| {
        buffer.truncate(length);
        buffer
    })
}

/// Installed memory in bytes, where `/proc` does not tell.
#[cfg(target_os = "macos")]
pub(crate) fn memory_total() -> Option<u64> {
    let bytes = sysctl(c"hw.memsize")?;
    Some(u64::from_ne_bytes(bytes.try_into().ok()?))
}

/// Installed memory in bytes, where `/proc` does not tell.
#[cfg(not(target_os = "macos"))]
pub(crate) fn memory_total() -> Option<u64> {
    None
}

/// Name of the processor, where `/proc` does not tell.
#[cfg(target_os = "macos")]
pub(crate) fn cpu_brand() -> Option<String> {
    let bytes = sysctl(c"machdep.cpu.brand_string")?;
    let text = CStr::from_bytes_until_nul(&bytes).ok()?.to_str().ok()?;
    Some(text.to_owned())
}

/// Name of the processor, where `/proc` does not tell.
#[cfg(not(target_os = "macos"))]
pub(crate) fn cpu_brand() -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    #[cfg(target_os = "linux")]
    #[expect(unsafe_code, reason = "a call into the C library")]
    fn connecting_to_a_full_queue_does_not_wait() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        // SAFETY: the descriptor is open, and the call touches no memory of ours.
        assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
        let first = connect(&path).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let waiting: Vec<_> = (0..8).map_while(|_| connect(&path).ok()).collect();
        assert!(waiting.len() < 8);
        let failure = connect(&path).unwrap_err();
        assert_eq!(failure.kind(), io::ErrorKind::WouldBlock);
        drop((first, accepted));

        drop(listener);
        let failure = connect(&path).unwrap_err();
        assert_eq!(failure.kind(), io::ErrorKind::ConnectionRefused);
        let long = folder.path().join("x".repeat(200));
        assert_eq!(
            connect(&long).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
