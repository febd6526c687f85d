//! The system calls that the standard library has no safe door for.
#![expect(unsafe_code, reason = "system calls; each block says why it is sound")]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Makes the child lead its own session, die when the launching thread does, and inherit no file
/// but its three pipes.
pub(super) fn bind_to_parent(command: &mut Command) {
    let parent = std::process::id();
    // SAFETY: between fork and exec only async-signal-safe functions may be called. The closure
    // makes plain system calls on integers and neither allocates nor locks.
    unsafe {
        command.pre_exec(move || bind_this_process(parent));
    }
}

fn bind_this_process(parent: u32) -> io::Result<()> {
    // SAFETY: plain system calls on integers; none touches this program's memory.
    unsafe {
        if libc::setsid() < 0 {
            return Err(io::Error::last_os_error());
        }
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) < 0 {
            return Err(io::Error::last_os_error());
        }
        // The parent may have died before the signal was asked for.
        if u32::try_from(libc::getppid()) != Ok(parent) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        // Files that an embedding program left inheritable. Kernels before 5.11 do not know the
        // call; then they are inherited, as everywhere.
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
    }
    Ok(())
}

/// Sends a signal to a whole process group. The caller knows that the group's leader is not yet
/// reaped, so that the id is nobody else's.
pub(super) fn signal_group(leader: u32, signal: i32) {
    let Ok(leader) = i32::try_from(leader) else {
        return;
    };
    // SAFETY: a plain system call on integers. It fails only where the group is gone.
    unsafe {
        libc::kill(-leader, signal);
    }
}

/// Ticks of the kernel's processor times in a second.
pub(super) fn ticks_per_second() -> Option<u64> {
    // SAFETY: a plain call on an integer.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    u64::try_from(ticks).ok().filter(|ticks| *ticks > 0)
}

/// Waits until a child has ended and leaves it to be reaped.
pub(super) fn wait_without_reaping(child: u32) -> io::Result<()> {
    loop {
        // SAFETY: a `siginfo_t` of zeros is a valid one.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is valid for writing during the call.
        let result = unsafe {
            libc::waitid(
                libc::P_PID,
                child,
                &raw mut info,
                libc::WEXITED | libc::WNOWAIT,
            )
        };
        if result == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
