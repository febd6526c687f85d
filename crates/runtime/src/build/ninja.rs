//! Running the steps of a build: output to the log, progress from ninja's status.

use crate::RuntimeError;
use llamatelemetry_progress::TaskHandle;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// `[finished/total] `
pub(crate) const STATUS: &str = "[%f/%t] ";
/// Lines kept of a failed step.
const LINES: usize = 20;

/// One step of a build.
#[derive(Debug)]
pub(crate) struct BuildStep<'a> {
    /// As a person would say it: "configuring llama.cpp".
    pub(crate) title: &'a str,
    pub(crate) program: &'a Path,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Its output is added to this file.
    pub(crate) log: &'a Path,
    /// Held locked. The child inherits it as its input, so that the lock outlives this process
    /// for as long as a compiler it started still writes into the tree.
    pub(crate) lock: &'a File,
}

/// Runs a step to its end.
pub(crate) fn run(step: &BuildStep<'_>, task: &dyn TaskHandle) -> Result<(), RuntimeError> {
    let cannot_log = |source| RuntimeError::io("write", step.log, source);
    let mut log = File::options()
        .create(true)
        .append(true)
        .open(step.log)
        .map_err(cannot_log)?;
    let shown: Vec<_> = std::iter::once(step.program.as_os_str())
        .chain(step.arguments.iter().map(OsString::as_os_str))
        .map(OsStr::to_string_lossy)
        .collect();
    writeln!(log, "\n$ {}", shown.join(" ")).map_err(cannot_log)?;
    let errors = log.try_clone().map_err(cannot_log)?;
    let lock = step.lock.try_clone().map_err(cannot_log)?;
    let cannot_run = |source| RuntimeError::Run {
        program: step.program.to_path_buf(),
        source,
    };
    let begin = std::fs::metadata(step.log).map_or(0, |data| data.len());
    let mut child = Command::new(step.program)
        .args(&step.arguments)
        .env_clear()
        .envs(step.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(lock))
        .stdout(Stdio::piped())
        .stderr(Stdio::from(errors))
        .spawn()
        .map_err(cannot_run)?;
    if let Some(output) = child.stdout.take() {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        // Compilers write whatever stands in sources, which need not be UTF-8.
        while output.read_until(b'\n', &mut line).map_err(cannot_run)? > 0 {
            log.write_all(&line).map_err(cannot_log)?;
            if let Some(status) = parse_status(&String::from_utf8_lossy(&line)) {
                task.total(status.total);
                task.at(status.finished);
                task.detail(&status.what);
            }
            line.clear();
        }
    }
    let ended = child.wait().map_err(cannot_run)?;
    if ended.success() {
        return Ok(());
    }
    Err(RuntimeError::Build {
        step: step.title.to_owned(),
        lines: telling_lines(step.log, begin),
        log: PathBuf::from(step.log),
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Status {
    finished: u64,
    total: u64,
    what: String,
}

/// `[12/345] Building CXX object src/CMakeFiles/llama.dir/llama-graph.cpp.o`
fn parse_status(line: &str) -> Option<Status> {
    let (numbers, what) = line.trim_end().strip_prefix('[')?.split_once("] ")?;
    let (finished, total) = numbers.split_once('/')?;
    let file = what.rsplit(' ').next().unwrap_or(what);
    let what = match file.rsplit_once(".dir/") {
        Some((_, source)) => source.trim_end_matches(".o"),
        None => what,
    };
    Some(Status {
        finished: finished.trim().parse().ok()?,
        total: total.trim().parse().ok()?,
        what: what.to_owned(),
    })
}

/// The lines of the log, from this byte on, that say why a step failed: those with an error in
/// them, else the last.
fn telling_lines(log: &Path, begin: u64) -> Vec<String> {
    const SIGNS: &[&str] = &[
        "error:",
        "error ",
        "CMake Error",
        "fatal",
        "undefined reference",
        "No space left",
        "Killed",
        "FAILED:",
    ];
    let bytes = std::fs::read(log).unwrap_or_default();
    let begin = usize::try_from(begin).unwrap_or(0).min(bytes.len());
    let text = String::from_utf8_lossy(&bytes[begin..]);
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    let mut telling: VecDeque<&str> = lines()
        .filter(|line| SIGNS.iter().any(|sign| line.contains(sign)))
        .collect();
    if telling.is_empty() {
        telling = lines().collect();
        while telling.len() > LINES {
            telling.pop_front();
        }
    }
    telling
        .into_iter()
        .take(LINES)
        .map(|line| line.trim_end().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use llamatelemetry_progress::Silent;
    use std::sync::Mutex;

    #[test]
    fn status_lines_are_read() {
        assert_eq!(
            parse_status(
                "[12/345] Building CXX object src/CMakeFiles/llama.dir/models/qwen3.cpp.o\n"
            ),
            Some(Status {
                finished: 12,
                total: 345,
                what: "models/qwen3.cpp".to_owned()
            })
        );
        assert_eq!(
            parse_status("[345/345] Linking CXX executable bin/llama-server")
                .unwrap()
                .what,
            "Linking CXX executable bin/llama-server"
        );
        assert_eq!(parse_status("[x/y] z"), None);
        assert_eq!(parse_status("warning: [1/2] "), None);
        assert_eq!(parse_status(""), None);
    }

    #[derive(Default)]
    struct Seen(Mutex<Vec<String>>);

    impl TaskHandle for Seen {
        fn at(&self, done: u64) {
            self.0.lock().unwrap().push(format!("at {done}"));
        }
        fn total(&self, total: u64) {
            self.0.lock().unwrap().push(format!("of {total}"));
        }
        fn detail(&self, message: &str) {
            self.0.lock().unwrap().push(message.to_owned());
        }
    }

    fn step(script: &str, log: &Path, task: &dyn TaskHandle) -> Result<(), RuntimeError> {
        let lock = File::open("/dev/null").unwrap();
        run(
            &BuildStep {
                title: "building",
                program: Path::new("/bin/sh"),
                arguments: vec!["-c".into(), script.into()],
                environment: Vec::new(),
                log,
                lock: &lock,
            },
            task,
        )
    }

    #[test]
    fn progress_follows_the_output_and_the_log_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("build.log");
        let seen = Seen::default();
        step(
            "echo '[1/2] Building a.dir/x.cpp.o'; echo warn >&2",
            &log,
            &seen,
        )
        .unwrap();
        assert_eq!(*seen.0.lock().unwrap(), ["of 2", "at 1", "x.cpp"]);
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(text.contains("$ /bin/sh -c"), "{text}");
        assert!(text.contains("warn"), "{text}");
    }

    #[test]
    fn a_failure_shows_its_error_and_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("build.log");
        step("echo 'error: of an older step'", &log, &Silent).unwrap();
        let script = "echo '[1/2] fine'; printf 'x.cpp:1: error: bad \\377 byte\\n'; exit 1";
        let error = step(script, &log, &Silent).unwrap_err();
        let RuntimeError::Build { lines, log: at, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(at, &log);
        assert_eq!(lines.len(), 1);
        assert!(lines[0].contains("x.cpp:1: error: bad"));
        assert!(error.to_string().starts_with("building failed (x.cpp:1"));
    }
}
