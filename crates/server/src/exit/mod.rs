//! Why a server ended.

use crate::log_line::{LogLevel, LogLine};
use crate::ownership::Ending;
use std::fmt;

/// Log lines that an [`Exit`] keeps.
const KEPT: usize = 40;
/// Log lines that its text shows.
const SHOWN: usize = 6;

const SIGABRT: i32 = 6;
const SIGILL: i32 = 4;
const SIGINT: i32 = 2;
const SIGHUP: i32 = 1;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// Words in the log that tell of a cause.
const OUT_OF_MEMORY: &[&str] = &[
    "out of memory",
    "insufficient memory",
    "failed to allocate",
    "cannot allocate memory",
    "unable to allocate",
    "cudamalloc failed",
    "std::bad_alloc",
    "cublas_status_alloc_failed",
    "erroroutofdevicememory",
];
const MISSING_LIBRARY: &[&str] = &[
    "error while loading shared libraries",
    "cannot open shared object file",
    "symbol lookup error",
    "' not found (required by",
];
const BAD_FLAG: &[&str] = &[
    "error: invalid argument",
    "error while handling argument",
    "error: unknown argument",
    "expected value for argument",
];
const ADDRESS_IN_USE: &[&str] = &["couldn't bind", "address already in use"];
const BAD_MODEL: &[&str] = &[
    "failed to load model",
    "error loading model",
    "unknown model architecture",
    "invalid magic",
    "is corrupted or incomplete",
    "failed to load mmproj",
    "failed to load multimodal",
    "failed to open gguf",
];
/// Lines that name the cause most exactly, where there is one.
const TELLING: &[&str] = &[
    "unknown model architecture",
    "invalid magic",
    "is corrupted or incomplete",
    "missing tensor",
    "failed to read",
    "error loading model",
    "cudamalloc failed",
    "insufficient memory",
];

/// Why a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExitClass {
    /// It was stopped by its owner.
    Stopped,
    /// It had requests and made no progress, and was killed for that.
    Stalled,
    /// It could not be reached any more although it ran, and was killed for that.
    Unreachable,
    /// It found no memory, on the machine or on a device, or the kernel killed it for that.
    OutOfMemory,
    /// It used an instruction that this processor does not have.
    IllegalInstruction,
    /// A shared library that it needs is missing or too old.
    MissingLibrary,
    /// It could not load the model.
    BadModel,
    /// It did not take a flag or a flag's value.
    BadFlag,
    /// Its address is taken.
    AddressInUse,
    /// Somebody else killed it.
    Killed,
    /// It crashed.
    Crashed,
    /// It ended for a reason that neither its code nor its log tells.
    Other,
}

impl ExitClass {
    /// Its name, low in cardinality: for figures and spans.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Stalled => "stalled",
            Self::Unreachable => "unreachable",
            Self::OutOfMemory => "out_of_memory",
            Self::IllegalInstruction => "illegal_instruction",
            Self::MissingLibrary => "missing_library",
            Self::BadModel => "bad_model",
            Self::BadFlag => "bad_flag",
            Self::AddressInUse => "address_in_use",
            Self::Killed => "killed",
            Self::Crashed => "crashed",
            Self::Other => "other",
        }
    }

    /// Whether a new start with the same files and flags would end the same way.
    pub fn would_repeat(self) -> bool {
        match self {
            Self::IllegalInstruction
            | Self::MissingLibrary
            | Self::BadModel
            | Self::BadFlag
            | Self::AddressInUse
            | Self::Stopped => true,
            Self::Stalled
            | Self::Unreachable
            | Self::OutOfMemory
            | Self::Killed
            | Self::Crashed
            | Self::Other => false,
        }
    }
}

impl fmt::Display for ExitClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "was stopped",
            Self::Stalled => "made no progress and was killed",
            Self::Unreachable => "could not be reached any more and was killed",
            Self::OutOfMemory => "ran out of memory",
            Self::IllegalInstruction => "uses instructions that this processor does not have",
            Self::MissingLibrary => "lacks a shared library",
            Self::BadModel => "could not load the model",
            Self::BadFlag => "did not take a flag",
            Self::AddressInUse => "found its address taken",
            Self::Killed => "was killed",
            Self::Crashed => "crashed",
            Self::Other => "ended",
        })
    }
}

/// Why its owner kills a server that would not end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It has requests and makes no progress.
    Stalled,
    /// It runs and cannot be reached: its socket is gone, or it lets nobody in.
    Unreachable,
}

/// How a server ended, and the last that it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Why.
    pub class: ExitClass,
    /// The code it returned, if it returned.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// The log line that tells the cause best, if one does.
    pub cause: Option<String>,
    /// The last lines of its log, oldest first.
    pub log_tail: Vec<String>,
}

/// What else is known when a process has ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Circumstances {
    /// Its owner stopped it.
    pub(crate) stop_asked: bool,
    /// Its owner killed it, for what it did or did not do.
    pub(crate) killed_for: Option<Fault>,
    /// The kernel killed a process for want of memory while it ran.
    pub(crate) memory_kill: bool,
    /// It had been ready: its flags, its model and its address were good.
    pub(crate) was_ready: bool,
}

impl Exit {
    /// Finds the reason in how the process ended and what it said last.
    pub(crate) fn classify<'a>(
        ending: Ending,
        circumstances: Circumstances,
        log: impl DoubleEndedIterator<Item = &'a LogLine> + Clone,
    ) -> Self {
        let class = class_of(ending, circumstances, &log);
        let mut log_tail: Vec<String> = log.clone().rev().take(KEPT).map(text_of).collect();
        log_tail.reverse();
        Self {
            class,
            code: ending.code,
            signal: ending.signal,
            cause: cause_of(class, log),
            log_tail,
        }
    }

    /// What a user can do about it.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self.class {
            ExitClass::OutOfMemory => {
                "use a smaller context, fewer slots, fewer GPU layers or a smaller model"
            }
            ExitClass::IllegalInstruction => {
                "this build is for another processor: use one built on this machine"
            }
            ExitClass::MissingLibrary => "install the library named above, or use another build",
            ExitClass::BadModel => {
                "check the file with `llt gguf validate FILE`; a newer llama.cpp may know its \
                 architecture"
            }
            ExitClass::AddressInUse => "choose another port, or none: then no port is needed",
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "llama-server {}", self.class)?;
        match (self.code, self.signal) {
            (_, Some(signal)) => write!(f, " (signal {signal})")?,
            (Some(code), None) => write!(f, " (exit code {code})")?,
            (None, None) => {}
        }
        if let Some(cause) = &self.cause {
            write!(f, ": {cause}")?;
        }
        if self.class != ExitClass::Stopped && !self.log_tail.is_empty() {
            f.write_str("; its last log lines:")?;
            for line in self.log_tail.iter().rev().take(SHOWN).rev() {
                write!(f, "\n  {line}")?;
            }
        }
        Ok(())
    }
}

fn class_of<'a>(
    ending: Ending,
    circumstances: Circumstances,
    log: &(impl Iterator<Item = &'a LogLine> + Clone),
) -> ExitClass {
    let said = |words: &[&str]| log.clone().any(|line| has_any(&line.text, words));
    if circumstances.stop_asked {
        return ExitClass::Stopped;
    }
    match circumstances.killed_for {
        Some(Fault::Stalled) => return ExitClass::Stalled,
        Some(Fault::Unreachable) => return ExitClass::Unreachable,
        None => {}
    }
    match (ending.signal, ending.code) {
        (Some(SIGILL), _) | (None, Some(132)) => ExitClass::IllegalInstruction,
        (Some(SIGKILL), _) if circumstances.memory_kill => ExitClass::OutOfMemory,
        (Some(SIGKILL | SIGTERM | SIGINT | SIGHUP), _) => ExitClass::Killed,
        // Failed allocations end in an abort; other signals can follow one.
        (Some(SIGABRT), _) if said(OUT_OF_MEMORY) => ExitClass::OutOfMemory,
        (Some(_), _) => ExitClass::Crashed,
        (None, _) if circumstances.was_ready => {
            if said(OUT_OF_MEMORY) {
                ExitClass::OutOfMemory
            } else {
                ExitClass::Other
            }
        }
        (None, code) => {
            if said(MISSING_LIBRARY) || code == Some(127) {
                ExitClass::MissingLibrary
            } else if said(BAD_FLAG) {
                ExitClass::BadFlag
            } else if said(ADDRESS_IN_USE) {
                ExitClass::AddressInUse
            } else if said(OUT_OF_MEMORY) {
                ExitClass::OutOfMemory
            } else if said(BAD_MODEL) {
                ExitClass::BadModel
            } else {
                ExitClass::Other
            }
        }
    }
}

fn cause_of<'a>(
    class: ExitClass,
    log: impl Iterator<Item = &'a LogLine> + Clone,
) -> Option<String> {
    let words = match class {
        ExitClass::OutOfMemory => OUT_OF_MEMORY,
        ExitClass::MissingLibrary => MISSING_LIBRARY,
        ExitClass::BadFlag => BAD_FLAG,
        ExitClass::AddressInUse => ADDRESS_IN_USE,
        ExitClass::BadModel => BAD_MODEL,
        ExitClass::Crashed | ExitClass::Other => {
            return log
                .filter(|line| line.level == LogLevel::Error)
                .last()
                .map(text_of);
        }
        _ => return None,
    };
    log.clone()
        .find(|line| has_any(&line.text, TELLING))
        .or_else(|| log.clone().find(|line| has_any(&line.text, words)))
        .map(text_of)
}

fn has_any(text: &str, words: &[&str]) -> bool {
    let text = text.to_lowercase();
    words.iter().any(|word| text.contains(word))
}

fn text_of(line: &LogLine) -> String {
    line.text.clone()
}

#[cfg(test)]
mod tests;
