//! Own one `llama-server` child: launch, readiness, logs, watchdog, restart, stop.
//!
//! [`ServerProcess::start`] launches a child from a [`LaunchSpec`] and returns when the child
//! itself says that it is ready. The child listens on a Unix socket in a private folder, or on a
//! loopback TCP port behind a random key. Its environment is a list made here, its log is always
//! drained, and it dies with this process on every path: an orderly stop, a drop, a `SIGKILL`.
//! [`Supervisor`] restarts a child that crashed; [`attach`] takes a server somebody else runs,
//! after comparing what it serves.
//!
//! Domain code here is synchronous; waiting is done on a condition, never by polling a child that
//! can speak for itself.

mod arguments;
mod attach;
mod child_environment;
mod child_log;
mod config_files;
mod error;
mod exit;
mod flags;
mod help;
mod listener;
mod log_content;
mod log_line;
mod ownership;
mod place;
mod probe;
mod process;
mod protocol;
mod purpose;
mod slot_line;
mod spec;
mod start;
mod supervisor;
mod sys;
mod watch;

#[cfg(target_os = "linux")]
mod linux;

pub use attach::{Attached, Expected, attach};
pub use child_environment::PASSED_ON;
pub use config_files::ConfigFiles;
pub use error::ServerError;
pub use exit::{Exit, ExitClass, Fault};
pub use listener::Listener;
pub use log_content::LogContent;
pub use log_line::{LogLevel, LogLine, SlotLaunch};
pub use ownership::Footprint;
pub use place::{Launches, launches, runtime_folder};
pub use process::ServerProcess;
pub use purpose::{Pooling, Purpose};
pub use slot_line::{SlotEvent, SlotLine};
pub use spec::{LaunchSpec, Listen};
pub use start::StartTimes;
pub use supervisor::{RestartPolicy, Supervisor, SupervisorState, SupervisorView};
