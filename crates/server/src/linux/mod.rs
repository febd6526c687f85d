//! Owning a child on Linux.
//!
//! Two things make the child die with this process, whatever happens to either: the kernel sends
//! it `SIGKILL` when the thread that launched it ends (which also reaches a stopped child), and
//! its standard input ends. The first is tied to a thread, not to the process; hence all children
//! are launched from one thread that never ends.

mod footprint;
mod launcher;
mod memory;
mod sys;

use crate::ownership::{Ending, Footprint, Launch, Launched, OwnedProcess, ProcessOwner};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// Linux as an owner of processes.
#[derive(Debug)]
pub(crate) struct Linux;

impl ProcessOwner for Linux {
    fn launch(&self, launch: Launch<'_>) -> io::Result<Launched> {
        let mut child = launcher::launch(|| {
            let mut command = Command::new(launch.program);
            command
                .args(launch.arguments)
                .env_clear()
                .envs(launch.environment.iter().map(|(name, value)| (name, value)))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            sys::bind_to_parent(&mut command);
            command
        })?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("the child came without its pipes"));
        };
        Ok(Launched {
            process: Arc::new(LinuxProcess {
                id: child.id(),
                child: Mutex::new(Some(child)),
            }),
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            stderr: Box::new(stderr),
        })
    }

    fn out_of_memory_kills(&self) -> Option<u64> {
        memory::out_of_memory_kills()
    }
}

/// A child that leads its own session and process group.
#[derive(Debug)]
struct LinuxProcess {
    id: u32,
    /// `None` once the process id is free for others: no signal may be sent to it then.
    child: Mutex<Option<Child>>,
}

impl LinuxProcess {
    fn signal_group(&self, signal: i32) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if child.is_some() {
            sys::signal_group(self.id, signal);
        }
    }
}

impl OwnedProcess for LinuxProcess {
    fn id(&self) -> u32 {
        self.id
    }

    fn ask_to_end(&self) {
        self.signal_group(libc::SIGTERM);
    }

    fn kill(&self) {
        self.signal_group(libc::SIGKILL);
    }

    fn footprint(&self) -> Option<Footprint> {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.as_ref()?;
        footprint::of(self.id)
    }

    fn wait(&self) -> io::Result<Ending> {
        // The child stays a zombie here, so that its id, which is its group's too, cannot be
        // another's while the group is killed.
        let waited = sys::wait_without_reaping(self.id);
        let mut slot = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if waited.is_ok() {
            sys::signal_group(self.id, libc::SIGKILL);
        }
        let status = match slot.take() {
            Some(mut child) => child.wait()?,
            None => return Err(io::Error::other("the child was waited for twice")),
        };
        Ok(Ending {
            code: status.code(),
            signal: status.signal(),
        })
    }
}
