//! From a spec to a server that is ready.

use crate::arguments::{self, Door};
use crate::child_environment::{self, Sources};
use crate::config_files::{self, ConfigFiles};
use crate::ownership::{Launch, Launched, OWNER, OwnedProcess, ProcessOwner};
use crate::place::Place;
use crate::watch::{State, Watch};
use crate::{ExitClass, LaunchSpec, Listen, ServerError, child_log, help, probe};
use llamatelemetry_api::Address;
use llamatelemetry_progress::{Progress, Task, TaskHandle};
use llamatelemetry_settings::Secret;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A build that does not report its state is asked for it so often.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// A start that is given up is noticed so soon.
const NOTICE_CANCEL: Duration = Duration::from_millis(100);
/// The log line with the address may arrive so long after the state line that follows it.
const ADDRESS_AFTER_READY: Duration = Duration::from_secs(2);
/// Last log lines of a dead child may arrive so late.
const LAST_LINES: Duration = Duration::from_millis(500);
/// A killed child is gone within this time, unless the kernel itself is stuck.
const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// What a start took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartTimes {
    /// The whole call.
    pub total: Duration,
    /// Before the child was launched.
    pub before_launch: Duration,
    /// From the launch until the child was seen to be ready.
    pub launch_to_ready: Duration,
    /// The child's own clock when it was ready, if its log has one.
    pub server: Option<Duration>,
}

/// A child that is ready, with all that belongs to it.
pub(crate) struct Started {
    pub(crate) process: Arc<dyn OwnedProcess>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) watcher: JoinHandle<()>,
    pub(crate) stdin: Box<dyn Write + Send>,
    pub(crate) place: Place,
    pub(crate) address: Address,
    pub(crate) key: Option<Secret>,
    pub(crate) config_files: ConfigFiles,
    pub(crate) times: StartTimes,
    pub(crate) launched_at: Instant,
}

/// Starts a server and waits until it is ready, or until `cancelled`.
pub(crate) fn start(
    spec: &LaunchSpec,
    progress: &dyn Progress,
    cancelled: &AtomicBool,
) -> Result<Started, ServerError> {
    let called = Instant::now();
    let owner = OWNER.ok_or(ServerError::Unsupported {
        system: std::env::consts::OS,
    })?;
    readable(&spec.model)?;
    if let Some(projector) = &spec.projector {
        readable(projector)?;
    }
    let place = Place::take(&spec.environment)?;
    let empty_folder = place.empty_folder()?;
    let flags = help::flags(owner, spec, &empty_folder)?;

    let listen = match spec.listen {
        Listen::UnixSocket if flags.is_empty() || flags.unix_socket => Listen::UnixSocket,
        // This build cannot listen on one.
        Listen::UnixSocket => Listen::Loopback(0),
        loopback @ Listen::Loopback(_) => loopback,
    };
    let (arguments, socket, key) = match listen {
        Listen::UnixSocket => {
            let socket = place.socket()?;
            let arguments = arguments::build(spec, &flags, Door::Socket(&socket))?;
            (arguments, Some(Address::Unix(socket)), None)
        }
        Listen::Loopback(port) => {
            free(port)?;
            let (key, file) = place.key()?;
            let arguments = arguments::build(spec, &flags, Door::Loopback(port, &file))?;
            (arguments, None, Some(key))
        }
    };
    let environment = child_environment::build_for_child_mode(&Sources {
        base: &spec.environment,
        library_dirs: &spec.library_dirs,
        extra: &spec.extra_environment,
        empty_folder: &empty_folder,
    });
    let task = progress.begin(Task::steps(
        format!("loading {} into llama-server", name(&spec.model)),
        Some(100),
    ));

    let launching = Instant::now();
    let child = launch(
        owner,
        spec,
        Launch {
            program: &spec.program,
            arguments: &arguments,
            environment: &environment,
        },
    )?;
    let ready = await_ready(&child, spec, socket.as_ref(), &*task, cancelled)
        .map_err(|error| end(&child, listen, error))?;
    place.forget_key();
    let config_files =
        config_files::compare(ready.config_files, spec, &ready.address, key.as_ref());
    Ok(Started {
        process: child.process,
        watch: child.watch,
        watcher: child.watcher,
        stdin: child.stdin,
        place,
        address: ready.address,
        key,
        config_files,
        times: StartTimes {
            total: called.elapsed(),
            before_launch: launching.duration_since(called),
            launch_to_ready: ready.at.duration_since(launching),
            server: ready.server_micros.map(Duration::from_micros),
        },
        launched_at: launching,
    })
}

/// A launched child and the threads that watch it.
struct Child {
    process: Arc<dyn OwnedProcess>,
    watch: Arc<Watch>,
    watcher: JoinHandle<()>,
    stdin: Box<dyn Write + Send>,
}

fn launch(
    owner: &'static dyn ProcessOwner,
    spec: &LaunchSpec,
    launch: Launch<'_>,
) -> Result<Child, ServerError> {
    let kills_before = owner.out_of_memory_kills();
    let Launched {
        process,
        stdin,
        stdout,
        stderr,
    } = owner
        .launch(launch)
        .map_err(|source| ServerError::Program {
            program: spec.program.clone(),
            source,
        })?;
    let pid = process.id();
    let watch = Arc::new(Watch::new(2));
    let watcher = {
        let (process, watch) = (process.clone(), watch.clone());
        named("watch", pid, move || {
            let ending = process.wait().unwrap_or_else(|error| {
                // Somebody else in this program waits for all children.
                tracing::warn!(pid, %error, "how llama-server ended cannot be told");
                crate::ownership::Ending {
                    code: None,
                    signal: None,
                }
            });
            let memory_kill = owner.out_of_memory_kills() > kills_before;
            watch.ended(ending, memory_kill, LAST_LINES);
        })
    };
    let drain = |stream: Box<dyn std::io::Read + Send>, kind| {
        let (watch, listener) = (watch.clone(), spec.listener.clone());
        let content = spec.log_content;
        named(kind, pid, move || {
            child_log::drain(stream, pid, &watch, content, &*listener);
        })
    };
    let drains = drain(stdout, "out").and_then(|_| drain(stderr, "err"));
    match drains.and(watcher) {
        Ok(watcher) => Ok(Child {
            process,
            watch,
            watcher,
            stdin,
        }),
        Err(error) => {
            process.kill();
            Err(ServerError::Thread(error))
        }
    }
}

/// Linux shows 15 letters of a thread's name.
fn named(
    kind: &str,
    pid: u32,
    work: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(format!("llm-{kind}-{pid}"))
        .spawn(work)
}

struct Ready {
    at: Instant,
    address: Address,
    server_micros: Option<u64>,
    config_files: Vec<std::path::PathBuf>,
}

fn await_ready(
    child: &Child,
    spec: &LaunchSpec,
    socket: Option<&Address>,
    task: &dyn TaskHandle,
    cancelled: &AtomicBool,
) -> Result<Ready, ServerError> {
    let watch = &*child.watch;
    let mut asked = Instant::now();
    let mut state = watch.lock();
    loop {
        if let Some(exit) = &state.exit {
            return Err(ServerError::Exited(Box::new(exit.clone())));
        }
        if let Some((at, _)) = &state.ready {
            let at = *at;
            if let Some(address) = socket.or(state.listening.as_ref()).cloned() {
                return Ok(Ready {
                    at,
                    address,
                    server_micros: state.server_micros,
                    config_files: state.config_files.clone(),
                });
            }
            let left = ADDRESS_AFTER_READY.saturating_sub(at.elapsed());
            if left.is_zero() {
                return Err(ServerError::PortUnknown);
            }
            state = watch.wait(state, left);
            continue;
        }
        if cancelled.load(Ordering::Relaxed) {
            return Err(ServerError::Cancelled);
        }
        let silent = state.last_sign.elapsed();
        if silent >= spec.start_timeout {
            return Err(ServerError::Silent {
                limit: spec.start_timeout,
                log_tail: state.lines.iter().map(|line| line.text.clone()).collect(),
            });
        }
        tell(task, &state);
        let patience = spec.start_timeout.saturating_sub(silent).min(NOTICE_CANCEL);
        if state.child_mode {
            state = watch.wait(state, patience);
            continue;
        }
        let address = socket.or(state.listening.as_ref()).cloned();
        state = watch.wait(state, patience.min(ASK_EVERY));
        // Not a moment earlier: a child that logs much wakes this thread often.
        if let Some(address) = address.filter(|_| asked.elapsed() >= ASK_EVERY) {
            drop(state);
            if reachable(&address) && probe::is_healthy(&address) {
                watch.found_ready();
            }
            asked = Instant::now();
            state = watch.lock();
        }
    }
}

/// Whether it is worth asking at all: a socket that is not there needs no connection to tell.
fn reachable(address: &Address) -> bool {
    match address {
        Address::Unix(path) => path.exists(),
        Address::Tcp(_) => true,
    }
}

fn tell(task: &dyn TaskHandle, state: &State) {
    if let Some((part, done)) = &state.loading {
        task.detail(part);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of one, made into percent"
        )]
        task.at((done * 100.0) as u64);
    }
}

/// Ends a child that did not become ready, and gives the error with the better reason.
fn end(child: &Child, listen: Listen, error: ServerError) -> ServerError {
    child.process.kill();
    if child.watch.wait_exit(KILLED_WITHIN).is_none() {
        tracing::warn!(
            pid = child.process.id(),
            "llama-server does not die; the kernel holds it"
        );
    }
    match (&error, listen) {
        (ServerError::Exited(exit), Listen::Loopback(port))
            if exit.class == ExitClass::AddressInUse && port != 0 =>
        {
            ServerError::AddressInUse { port }
        }
        _ => error,
    }
}

fn readable(path: &Path) -> Result<(), ServerError> {
    let opened = std::fs::File::open(path).and_then(|file| {
        if file.metadata()?.is_dir() {
            return Err(std::io::ErrorKind::IsADirectory.into());
        }
        Ok(())
    });
    opened.map_err(|source| ServerError::ModelFile {
        path: path.to_owned(),
        source,
    })
}

/// Whether a port can be had. llama-server checks again when it binds; this only makes the usual
/// mistake quick and its message clear, also with builds that share ports.
fn free(port: u16) -> Result<(), ServerError> {
    if port == 0 {
        return Ok(());
    }
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Err(ServerError::AddressInUse { port })
        }
        Err(source) => Err(ServerError::Port { port, source }),
    }
}

fn name(model: &Path) -> String {
    model
        .file_name()
        .unwrap_or(model.as_os_str())
        .to_string_lossy()
        .into_owned()
}
