//! One run of pip: started, watched, ended when nothing happens any more.

use super::interpreter::Interpreter;
use super::output::{Said, said};
use super::verdict::{Transcript, verdict};
use super::{PipForm, PipPackage};
use crate::{FetchError, sys};
use llamatelemetry_progress::TaskHandle;
use llamatelemetry_settings::Settings;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Where pip leaves the file, below its folder.
pub(super) const OUT: &str = "out";
/// What a trial run writes there.
pub(super) const REPORT: &str = "report.json";
/// Where pip puts what is under way, below its folder.
pub(super) const TEMPORARY: &str = "tmp";

/// One wait for the registry, in seconds, unless the user set another.
const TIMEOUT: &str = "15";
/// What Python and pip need to start on a busy machine, on top of the waiting.
const START: Duration = Duration::from_secs(10);
/// A download without a byte for so long is dead.
const STALLED: Duration = Duration::from_secs(60);
/// Any other step without a word for so long is dead.
const SPEECHLESS: Duration = Duration::from_secs(300);
/// How often the growing file is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The longest line that is kept whole.
const LONGEST_LINE: u64 = 16 << 10;

pub(super) struct Run<'a> {
    pub(super) interpreter: &'a Interpreter,
    pub(super) settings: &'a Settings,
    pub(super) package: &'a PipPackage,
    pub(super) folder: &'a Path,
    pub(super) job: Job<'a>,
    pub(super) task: &'a dyn TaskHandle,
}

/// What pip is to do.
#[derive(Clone, Copy)]
pub(super) enum Job<'a> {
    /// Bring the file that these requirements pin.
    Download { requirements: &'a Path },
    /// Say what it would install.
    Report,
}

/// Why a run failed.
pub(super) enum Failure {
    Final(FetchError),
    /// The registry had begun to send, or sent something wrong: worth another attempt.
    Broken(FetchError),
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::Final(error)
    }
}

/// What is known of a run while it goes on.
struct Watch {
    lines: Vec<String>,
    answered: bool,
    downloading: bool,
    /// The last sign of life: a line that matters, or a file that grew.
    alive: Instant,
    arrived: u64,
}

/// A child whose whole group ends with it.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Only while it is not collected is its number its own.
        if let Ok(None) = self.0.try_wait() {
            sys::kill_group(self.0.id());
            let _ended = self.0.wait();
        }
    }
}

impl Run<'_> {
    /// Runs pip once; `again` leaves out its cache, which may hold what went wrong.
    pub(super) fn once(&self, again: bool) -> Result<(), Failure> {
        let python = &self.interpreter.python;
        let (sender, lines) = sync_channel(256);
        let mut child = self
            .command(again)
            .spawn()
            .map(Group)
            .map_err(|source| FetchError::io("run", python, source))?;
        if let Some(stdout) = child.0.stdout.take() {
            listen("pip-stdout", stdout, sender.clone())?;
        }
        if let Some(stderr) = child.0.stderr.take() {
            listen("pip-stderr", stderr, sender)?;
        }
        let mut watch = Watch {
            lines: Vec::new(),
            answered: false,
            downloading: false,
            alive: Instant::now(),
            arrived: 0,
        };
        let status = self.follow(&mut child, &lines, &mut watch)?;
        if status.success() {
            return Ok(());
        }
        let error = verdict(
            self.package,
            &Transcript {
                lines: &watch.lines,
                folder: self.folder,
                python,
            },
        );
        match error {
            FetchError::RegistryUnreachable { .. } if watch.answered => Err(Failure::Broken(error)),
            // Older versions of pip do not notice that a download broke off.
            FetchError::PackageDigest { .. } => Err(Failure::Broken(error)),
            _ => Err(Failure::Final(error)),
        }
    }

    fn command(&self, again: bool) -> Command {
        let temporary = self.folder.join(TEMPORARY);
        let mut command = Command::new(&self.interpreter.python);
        command.args(["-m", "pip"]);
        match self.job {
            Job::Download { .. } => command.args(["download", "--require-hashes"]),
            Job::Report => command.args(["install", "--dry-run", "--ignore-installed"]),
        };
        command
            .args(["--no-deps", "--no-input", "--disable-pip-version-check"])
            .args(["--no-color"])
            .args(["--progress-bar", "off", "--retries", "1"]);
        let environment = &self.settings.environment;
        if again {
            command.arg("--no-cache-dir");
        }
        let own_timeout = ["PIP_TIMEOUT", "PIP_DEFAULT_TIMEOUT"]
            .iter()
            .any(|name| environment.get(name).is_some());
        if !own_timeout {
            command.args(["--timeout", TIMEOUT]);
        }
        let only = match self.package.form {
            PipForm::Wheel => "--only-binary",
            PipForm::Source => "--no-binary",
        };
        let out = self.folder.join(OUT);
        command.args([only, &self.package.name]);
        match self.job {
            Job::Download { requirements } => {
                command.arg("-r").arg(requirements).arg("-d").arg(out);
            }
            Job::Report => {
                command.arg("--report").arg(out.join(REPORT));
                command.arg(self.package.to_string());
            }
        }
        command
            .env_clear()
            .envs(environment.iter())
            // Nothing is installed, so this guard of some users has nothing to guard.
            .env("PIP_REQUIRE_VIRTUALENV", "false")
            .env("PYTHONUNBUFFERED", "1")
            .env("PYTHONIOENCODING", "utf-8:replace")
            .env("TMPDIR", &temporary)
            // With `-m` the current folder is searched for modules first: it is ours and empty.
            .current_dir(&temporary)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Listens until pip ends, or ends it.
    fn follow(
        &self,
        child: &mut Group,
        lines: &Receiver<String>,
        watch: &mut Watch,
    ) -> Result<ExitStatus, Failure> {
        self.task.detail("asking the registry");
        loop {
            match lines.recv_timeout(LOOK) {
                Ok(line) => self.take(line, watch),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if watch.downloading {
                let arrived = largest(&self.folder.join(TEMPORARY));
                if arrived > watch.arrived {
                    watch.arrived = arrived;
                    watch.alive = Instant::now();
                    self.task.at(arrived);
                }
            }
            let (allowed, reason) = if !watch.answered {
                let give_up = self.settings.network.give_up_after;
                (START + give_up, "it does not answer")
            } else if watch.downloading {
                (STALLED, "the download stalled")
            } else {
                (SPEECHLESS, "pip does not get on")
            };
            if watch.alive.elapsed() > allowed {
                let error = FetchError::RegistryUnreachable {
                    package: self.package.to_string(),
                    reason: reason.to_owned(),
                };
                return Err(if watch.downloading {
                    Failure::Broken(error)
                } else {
                    Failure::Final(error)
                });
            }
        }
        child
            .0
            .wait()
            .map_err(|source| FetchError::io("wait for", &self.interpreter.python, source).into())
    }

    fn take(&self, line: String, watch: &mut Watch) {
        match said(&line) {
            Said::Downloading { size } => {
                (watch.answered, watch.downloading) = (true, true);
                watch.alive = Instant::now();
                if let Some(size) = size {
                    self.task.total(size);
                }
                self.task.detail("downloading");
            }
            Said::Working(doing) => {
                (watch.answered, watch.downloading) = (true, false);
                watch.alive = Instant::now();
                self.task.detail(doing);
            }
            Said::Retrying => self.task.detail("the registry does not answer; once more"),
            Said::Other => {}
        }
        tracing::trace!(line = super::output::clean(&line), "pip");
        watch.lines.push(line);
    }
}

/// Sends each line of a stream on; ends with the stream or when nobody listens any more.
fn listen(
    name: &str,
    stream: impl Read + Send + 'static,
    lines: SyncSender<String>,
) -> Result<(), FetchError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            loop {
                line.clear();
                match reader
                    .by_ref()
                    .take(LONGEST_LINE)
                    .read_until(b'\n', &mut line)
                {
                    Ok(count) if count > 0 => {}
                    _ => return,
                }
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                if lines.send(text).is_err() {
                    return;
                }
            }
        })
        .map(drop)
        .map_err(|source| FetchError::io("start a thread for", Path::new(name), source))
}

/// The size of the largest file that pip is unpacking a download into.
fn largest(temporary: &Path) -> u64 {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries(temporary)
        .filter(|entry| {
            entry
                .file_name()
                .as_encoded_bytes()
                .starts_with(OsStr::new("pip-unpack-").as_encoded_bytes())
        })
        .flat_map(|entry| entries(&entry.path()))
        .filter_map(|entry| entry.metadata().ok())
        .filter(std::fs::Metadata::is_file)
        .map(|metadata| metadata.len())
        .max()
        .unwrap_or(0)
}
