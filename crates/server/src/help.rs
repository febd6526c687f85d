//! Asking a build for its flags, once per build.

use crate::child_environment::{self, Sources};
use crate::exit::Circumstances;
use crate::flags::Flags;
use crate::log_line::{LogLevel, LogLine};
use crate::ownership::{Ending, Launch, Launched, ProcessOwner};
use crate::{Exit, ExitClass, LaunchSpec, ServerError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A build has so long to tell its flags. A large CUDA build takes a second where the disk is cold.
const LIMIT: Duration = Duration::from_secs(30);
/// A help text is never longer, in bytes.
const LONGEST: u64 = 4 << 20;

#[derive(Serialize, Deserialize)]
struct Remembered {
    build: String,
    flags: Flags,
}

/// The flags of the spec's build: remembered by this process, remembered on disk, or asked.
pub(crate) fn flags(
    owner: &dyn ProcessOwner,
    spec: &LaunchSpec,
    empty_folder: &Path,
) -> Result<Arc<Flags>, ServerError> {
    static KNOWN: Mutex<BTreeMap<String, Arc<Flags>>> = Mutex::new(BTreeMap::new());
    let build = identity(spec).map_err(|source| ServerError::Program {
        program: spec.program.clone(),
        source,
    })?;
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(flags) = known().get(&build) {
        return Ok(flags.clone());
    }
    let file = spec.cache.as_deref().map(|cache| cache_file(cache, &build));
    let recalled = file.as_deref().and_then(|file| recall(file, &build));
    let flags = if let Some(flags) = recalled {
        flags
    } else {
        let flags = ask(owner, spec, empty_folder)?;
        if let Some(file) = file.filter(|_| !flags.is_empty()) {
            // A cache that cannot be written only costs time.
            drop(remember(&file, &build, &flags));
        }
        flags
    };
    let flags = Arc::new(flags);
    known().insert(build, flags.clone());
    Ok(flags)
}

/// What tells one build from another without running it: its file, and the folders in which its
/// libraries are replaced.
fn identity(spec: &LaunchSpec) -> io::Result<String> {
    let found = spec.program.metadata()?;
    let mut identity = vec![format!(
        "{} {} {} {} {}.{}",
        spec.program.display(),
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
    )];
    let folders = spec.program.parent().into_iter();
    for folder in folders.chain(spec.library_dirs.iter().map(PathBuf::as_path)) {
        if let Ok(found) = folder.metadata() {
            identity.push(format!("{}.{}", found.mtime(), found.mtime_nsec()));
        }
    }
    Ok(identity.join(" "))
}

fn cache_file(cache: &Path, build: &str) -> PathBuf {
    // FNV-1a: the name only has to differ; the file says whose flags it holds.
    let hash = build.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    cache
        .join("server-flags-2")
        .join(format!("{hash:016x}.json"))
}

fn recall(file: &Path, build: &str) -> Option<Flags> {
    let remembered: Remembered = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    (remembered.build == build).then_some(remembered.flags)
}

fn remember(file: &Path, build: &str, flags: &Flags) -> io::Result<()> {
    let text = serde_json::to_vec(&Remembered {
        build: build.to_owned(),
        flags: flags.clone(),
    })?;
    if let Some(folder) = file.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    // Another process may write the same file: each writes its own and the last rename wins.
    let draft = file.with_extension(format!("{}.draft", std::process::id()));
    std::fs::write(&draft, text)?;
    std::fs::rename(&draft, file)
}

/// Runs `--help`. An empty list means that the program does not tell; a program that cannot run
/// at all is an error.
fn ask(
    owner: &dyn ProcessOwner,
    spec: &LaunchSpec,
    empty_folder: &Path,
) -> Result<Flags, ServerError> {
    let environment = child_environment::build(&Sources {
        base: &spec.environment,
        library_dirs: &spec.library_dirs,
        extra: &spec.extra_environment,
        empty_folder,
    });
    let Launched {
        process,
        stdin,
        stdout,
        stderr,
    } = owner
        .launch(Launch {
            program: &spec.program,
            arguments: &["--help".into()],
            environment: &environment,
        })
        .map_err(|source| ServerError::Program {
            program: spec.program.clone(),
            source,
        })?;
    drop(stdin);
    let (sender, receiver) = sync_channel(3);
    let started = thread(&sender, move || Told::Text(read(stdout)))
        .and_then(|()| thread(&sender, move || Told::Text(read(stderr))))
        .and_then(|()| {
            let process = process.clone();
            thread(&sender, move || Told::End(process.wait()))
        });
    if let Err(error) = started {
        process.kill();
        return Err(ServerError::Thread(error));
    }
    let deadline = Instant::now() + LIMIT;
    let (mut text, mut end) = (String::new(), None);
    for _ in 0..3 {
        let left = deadline.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left) {
            Ok(Told::Text(part)) => text.push_str(&part),
            Ok(Told::End(ending)) => end = ending.ok(),
            Err(_) => {
                process.kill();
                return Err(ServerError::NoHelp {
                    program: spec.program.clone(),
                    limit: LIMIT,
                });
            }
        }
    }
    judge(&text, end)
}

fn judge(text: &str, end: Option<Ending>) -> Result<Flags, ServerError> {
    let flags = Flags::parse(text);
    let Some(ending) = end.filter(|_| flags.is_empty()) else {
        return Ok(flags);
    };
    let lines: Vec<LogLine> = text
        .lines()
        .map(|line| LogLine {
            at: Instant::now(),
            server_micros: None,
            level: LogLevel::Info,
            text: line.to_owned(),
        })
        .collect();
    let exit = Exit::classify(ending, Circumstances::default(), lines.iter());
    match exit.class {
        // It runs, and does not know `--help` or has nothing to say to it.
        ExitClass::Other | ExitClass::BadFlag => Ok(flags),
        _ => Err(ServerError::Exited(Box::new(exit))),
    }
}

enum Told {
    Text(String),
    End(io::Result<Ending>),
}

fn thread(
    sender: &SyncSender<Told>,
    work: impl FnOnce() -> Told + Send + 'static,
) -> io::Result<()> {
    let sender = sender.clone();
    std::thread::Builder::new()
        .name("llama-help".into())
        .spawn(move || {
            // Nobody listens any more after the limit.
            drop(sender.send(work()));
        })
        .map(drop)
}

fn read(from: impl Read) -> String {
    let mut bytes = Vec::new();
    // What was read before a failure is enough to judge by.
    drop(from.take(LONGEST).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}
