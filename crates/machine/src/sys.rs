//! The few calls into the C library.

use std::ffi::CStr;
use std::io;
use std::path::Path;

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
