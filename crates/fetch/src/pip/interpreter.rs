//! Which Python is used.

use crate::FetchError;
use crate::sys;
use llamatelemetry_settings::Settings;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// Says the version, and whether pip is there without loading it.
const QUESTION: &str = "import sys, importlib.util as u\n\
    print('%d.%d.%d' % sys.version_info[:3], u.find_spec('pip') is not None)";
/// How long the answer may take: a busy machine with a cold disk.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone)]
pub(super) struct Interpreter {
    pub(super) python: PathBuf,
    pub(super) version: String,
}

impl Interpreter {
    pub(super) fn find(settings: &Settings) -> Result<Self, FetchError> {
        let missing = |looked_for: &Path| FetchError::PythonMissing {
            looked_for: looked_for.to_path_buf(),
        };
        if let Some(python) = &settings.runtime.python {
            return match ask(python, settings) {
                Some((version, true)) => Ok(Self {
                    python: python.clone(),
                    version,
                }),
                Some((_, false)) => Err(FetchError::PipMissing {
                    python: python.clone(),
                }),
                None => Err(missing(python)),
            };
        }
        let path = settings.environment.get_os("PATH").unwrap_or_default();
        let mut without_pip = None;
        for folder in std::env::split_paths(path) {
            let python = folder.join("python3");
            // Environments made by other tools often have no pip, but the system has.
            match is_program(&python)
                .then(|| ask(&python, settings))
                .flatten()
            {
                Some((version, true)) => return Ok(Self { python, version }),
                Some((_, false)) => {
                    without_pip.get_or_insert(python);
                }
                None => {}
            }
        }
        Err(without_pip.map_or_else(
            || missing(Path::new("python3 on PATH")),
            |python| FetchError::PipMissing { python },
        ))
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// The version, and whether pip is there; `None` if it does not answer like a Python 3.
fn ask(python: &Path, settings: &Settings) -> Option<(String, bool)> {
    let mut child = Command::new(python)
        .args(["-c", QUESTION])
        .env_clear()
        .envs(settings.environment.iter())
        // With `-c` the current folder is searched for modules first.
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut stdout = child.stdout.take()?;
    let (sender, answer) = sync_channel(1);
    let reading = std::thread::Builder::new()
        .name("python-answer".to_owned())
        .spawn(move || {
            let mut text = String::new();
            let read = stdout.by_ref().take(1000).read_to_string(&mut text);
            // Nobody listens any more once the time is over.
            let _late = sender.send(read.map(|_| text));
        });
    let text = match reading {
        Ok(_) => answer.recv_timeout(PATIENCE).ok().and_then(Result::ok),
        Err(_) => None,
    };
    if text.is_none() {
        sys::kill_group(child.id());
    }
    let status = child.wait().ok()?;
    let text = text.filter(|_| status.success())?;
    let (version, pip) = text.trim().split_once(' ')?;
    version
        .starts_with("3.")
        .then(|| (version.to_owned(), pip == "True"))
}
