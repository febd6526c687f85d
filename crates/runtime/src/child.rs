//! Short-lived children: run one, bounded in time and output, and say how it ended.

use crate::RuntimeError;
use llamatelemetry_settings::Environment;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Output kept of each stream.
const KEPT: u64 = 1 << 20;

/// How a child ended and what it wrote.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    pub(crate) end: End,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It was killed because its time was up.
    TimedOut,
}

impl Finished {
    pub(crate) fn success(&self) -> bool {
        self.end == End::Code(0)
    }

    /// Both streams, the errors last.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl From<ExitStatus> for End {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (None, signal) => Self::Signal(signal.unwrap_or(0)),
        }
    }
}

/// Runs a program with these arguments in this environment only.
pub(crate) fn run<A: AsRef<OsStr>>(
    program: &Path,
    arguments: &[A],
    environment: &[(OsString, OsString)],
    limit: Duration,
) -> Result<Finished, RuntimeError> {
    run_in(None, program, arguments, environment, limit)
}

/// The same in a folder.
pub(crate) fn run_in<A: AsRef<OsStr>>(
    folder: Option<&Path>,
    program: &Path,
    arguments: &[A],
    environment: &[(OsString, OsString)],
    limit: Duration,
) -> Result<Finished, RuntimeError> {
    let failed = |source| RuntimeError::Run {
        program: program.to_path_buf(),
        source,
    };
    let deadline = Instant::now() + limit;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let mut child = command.spawn().map_err(failed)?;
    // Rendezvous channels: each reader sends once, and is gone when nobody listens any more.
    let (out_sender, out_receiver) = mpsc::sync_channel(1);
    let (err_sender, err_receiver) = mpsc::sync_channel(1);
    let readers = child
        .stdout
        .take()
        .map(|pipe| collect("child-stdout", pipe, out_sender))
        .into_iter()
        .chain(
            child
                .stderr
                .take()
                .map(|pipe| collect("child-stderr", pipe, err_sender)),
        );
    for reader in readers {
        reader.map_err(failed)?;
    }
    let left = || deadline.saturating_duration_since(Instant::now());
    let out = out_receiver.recv_timeout(left());
    let err = err_receiver.recv_timeout(left());
    let end = loop {
        // Both streams are closed, so the child is about to end; if it does not, time is up.
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status.into();
        }
        if left().is_zero() {
            child.kill().map_err(failed)?;
            child.wait().map_err(failed)?;
            break End::TimedOut;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    Ok(Finished {
        end,
        stdout: out.unwrap_or_default(),
        stderr: err.unwrap_or_default(),
    })
}

fn collect(
    name: &str,
    pipe: impl Read + Send + 'static,
    sender: mpsc::SyncSender<String>,
) -> io::Result<()> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let mut bytes = Vec::new();
            let mut pipe = pipe.take(KEPT);
            // A broken pipe ends the output; what came before it is still worth having.
            let _ended = pipe.read_to_end(&mut bytes);
            // What goes beyond is drained, so that the child is not stopped by a full pipe.
            let _drained = io::copy(&mut pipe.into_inner(), &mut io::sink());
            // Nobody listens any more when time was up.
            let _heard = sender.send(String::from_utf8_lossy(&bytes).into_owned());
        })
        .map(|_handle| ())
}

/// The environment a `llama-server` or tool runs in: what programs need to find their way, the
/// device masks, and nothing of llama.cpp's own variables or anybody's secrets.
pub(crate) fn plain_environment(
    environment: &Environment,
    library_dirs: &[PathBuf],
) -> Vec<(OsString, OsString)> {
    const PASSED: &[&str] = &["PATH", "HOME", "TMPDIR", "USER", "LOGNAME"];
    const PASSED_FAMILIES: &[&str] = &["CUDA_", "NVIDIA_", "HIP_", "ROCR_", "OMP_", "VK_"];
    let mut passed: Vec<(OsString, OsString)> = environment
        .iter()
        .filter(|(name, _)| {
            name.to_str().is_some_and(|name| {
                PASSED.contains(&name)
                    || PASSED_FAMILIES
                        .iter()
                        .any(|family| name.starts_with(family))
            })
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    passed.push(("LC_ALL".into(), "C.UTF-8".into()));
    let libraries = library_path(environment, library_dirs);
    if !libraries.is_empty() {
        passed.push(("LD_LIBRARY_PATH".into(), libraries));
    }
    passed
}

/// The runtime's folders before those the user set.
pub(crate) fn library_path(environment: &Environment, library_dirs: &[PathBuf]) -> OsString {
    let mut path = OsString::new();
    let own = library_dirs.iter().map(|folder| folder.as_os_str());
    for folder in own.chain(environment.get_os("LD_LIBRARY_PATH")) {
        if !path.is_empty() {
            path.push(":");
        }
        path.push(folder);
    }
    path
}

/// The first program of this name on the environment's `PATH`, and all after it.
pub(crate) fn on_path<'a>(
    environment: &'a Environment,
    name: &'a str,
) -> impl Iterator<Item = PathBuf> + 'a {
    environment
        .get_os("PATH")
        .into_iter()
        .flat_map(std::env::split_paths)
        .filter(|folder| folder.is_absolute())
        .map(move |folder| folder.join(name))
        .filter(|path| is_program(path))
}

/// Whether this is a file that somebody may execute.
pub(crate) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path)
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Finished {
        run(Path::new("/bin/sh"), &["-c", script], &[], limit).unwrap()
    }

    #[test]
    fn ends_are_told_apart() {
        let minute = Duration::from_secs(60);
        let done = sh("echo out; echo err >&2; exit 3", minute);
        assert_eq!(done.end, End::Code(3));
        assert_eq!(done.text(), "out\nerr\n");
        assert_eq!(sh("kill -ILL $$", minute).end, End::Signal(libc::SIGILL));
        assert_eq!(
            sh("exec sleep 60", Duration::from_millis(50)).end,
            End::TimedOut
        );
    }

    #[test]
    fn much_output_neither_blocks_nor_fills_memory() {
        let done = sh(
            "head -c 5000000 /dev/zero | tr '\\0' x",
            Duration::from_secs(60),
        );
        assert!(done.success());
        assert_eq!(done.stdout.len() as u64, KEPT);
    }

    #[test]
    fn the_environment_is_a_list_we_build() {
        let environment = Environment::from_pairs([
            ("PATH", "/bin"),
            ("HF_TOKEN", "secret"),
            ("LLAMA_ARG_MODEL", "x"),
            ("CUDA_VISIBLE_DEVICES", "1"),
            ("LD_LIBRARY_PATH", "/theirs"),
        ]);
        let built = plain_environment(&environment, &[PathBuf::from("/ours")]);
        let names: Vec<_> = built.iter().filter_map(|(name, _)| name.to_str()).collect();
        assert_eq!(
            names,
            ["CUDA_VISIBLE_DEVICES", "PATH", "LC_ALL", "LD_LIBRARY_PATH"]
        );
        assert_eq!(built[3].1, "/ours:/theirs");
    }

    #[test]
    fn a_missing_program_is_a_typed_error() {
        let missing = run::<&str>(Path::new("/no/such"), &[], &[], Duration::from_secs(1));
        assert!(matches!(missing, Err(RuntimeError::Run { .. })));
    }
}
