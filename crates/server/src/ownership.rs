//! Owning a child process: the part that differs between systems.

use std::ffi::OsString;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What to launch.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "no owner of processes reads it here yet")
)]
pub(crate) struct Launch<'a> {
    /// The program.
    pub(crate) program: &'a Path,
    /// Its arguments, without its own name.
    pub(crate) arguments: &'a [OsString],
    /// Its whole environment.
    pub(crate) environment: &'a [(OsString, OsString)],
}

/// A launched child and the three pipes to it.
pub(crate) struct Launched {
    /// The child.
    pub(crate) process: Arc<dyn OwnedProcess>,
    /// Its standard input. Closing it tells a child in child mode to end.
    pub(crate) stdin: Box<dyn Write + Send>,
    /// Its standard output.
    pub(crate) stdout: Box<dyn Read + Send>,
    /// Its standard error.
    pub(crate) stderr: Box<dyn Read + Send>,
}

/// A system's way to launch children that cannot outlive this process.
pub(crate) trait ProcessOwner: Sync {
    /// Launches a child that the system kills when this process ends in whatever way. It is out
    /// of reach of the terminal's keys, and what it starts can be killed with it.
    fn launch(&self, launch: Launch<'_>) -> io::Result<Launched>;

    /// How many processes the system has killed for want of memory where children run, if it
    /// counts them.
    fn out_of_memory_kills(&self) -> Option<u64>;
}

/// A child and everything it started.
pub(crate) trait OwnedProcess: Send + Sync + Debug {
    /// The child's process id.
    fn id(&self) -> u32;

    /// Asks the child and what it started to end. Does nothing once the child has ended.
    fn ask_to_end(&self);

    /// Kills the child and what it started. Does nothing once the child has ended.
    fn kill(&self);

    /// What the child takes now; `None` where the system does not tell, or once it has ended.
    fn footprint(&self) -> Option<Footprint>;

    /// Waits until the child has ended, kills what it left behind, and frees its process id.
    /// Called once, by the thread that watches the child.
    fn wait(&self) -> io::Result<Ending>;
}

/// What a process takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes of main memory. What it shares with others counts in parts, where the system tells.
    pub memory: u64,
    /// Processor time so far.
    pub processor_time: Duration,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    /// The code it returned, if it returned.
    pub(crate) code: Option<i32>,
    /// The signal that ended it, if one did.
    pub(crate) signal: Option<i32>,
}

/// The owner for this system.
#[cfg(target_os = "linux")]
pub(crate) const OWNER: Option<&'static dyn ProcessOwner> = Some(&crate::linux::Linux);

/// The owner for this system: none yet.
#[cfg(not(target_os = "linux"))]
pub(crate) const OWNER: Option<&'static dyn ProcessOwner> = None;
