//! Why a binary was refused.

use crate::child::{End, Finished};
use serde::{Deserialize, Serialize};

/// Why a binary was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{reason}")]
pub struct Refusal {
    /// What kind of reason it is.
    pub kind: RefusalKind,
    /// The reason, in words.
    pub reason: String,
    /// The last lines it wrote.
    pub log_tail: Vec<String>,
}

/// What kind of reason a refusal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RefusalKind {
    /// There is no such file, or it may not be executed.
    NotAProgram,
    /// It is a program for another kind of machine.
    WrongMachine,
    /// It died by an instruction this processor does not have.
    IllegalInstruction,
    /// A shared library is missing, or older than it needs.
    MissingLibrary,
    /// It runs, but is no `llama-server`.
    NotLlamaServer,
    /// It could not load the tiny model.
    CannotLoad,
    /// It loaded the tiny model but did not answer as it should.
    NoAnswer,
    /// It lacks the device back end that is wanted.
    WrongBackend,
    /// It did not end, or not begin, in its time.
    TimedOut,
    /// It died in another way.
    Crashed,
    /// It could not be tried, which says nothing about the binary.
    NotTried,
}

impl Refusal {
    /// A refusal without any output to show.
    pub(crate) fn new(kind: RefusalKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
            log_tail: Vec::new(),
        }
    }

    /// The same with the last lines that it wrote.
    pub(crate) fn with_output(mut self, output: &str) -> Self {
        const LINES: usize = 12;
        let lines: Vec<&str> = output
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        self.log_tail = lines[lines.len().saturating_sub(LINES)..]
            .iter()
            .map(|line| (*line).to_owned())
            .collect();
        self
    }

    /// Whether the same binary on the same machine would be refused again, so that the refusal may
    /// be remembered. A missing library may be installed meanwhile.
    pub(crate) fn lasting(&self) -> bool {
        self.kind == RefusalKind::IllegalInstruction
    }

    /// What a person can do about it.
    pub fn hints(&self) -> Vec<String> {
        match self.kind {
            RefusalKind::IllegalInstruction => {
                vec!["use a build for this processor; `llt runtime install` makes one".to_owned()]
            }
            RefusalKind::MissingLibrary => {
                vec!["install the library, or put its folder into LD_LIBRARY_PATH".to_owned()]
            }
            RefusalKind::NotAProgram => {
                vec!["check the path and its rights (chmod +x)".to_owned()]
            }
            _ => Vec::new(),
        }
    }
}

/// Judges how a short run ended, `doing` being what it was asked for: `--version`.
/// `None` if it ended well.
pub(crate) fn judge(finished: &Finished, doing: &str) -> Option<Refusal> {
    let text = finished.text();
    let refusal = match finished.end {
        End::Code(0) => return None,
        End::TimedOut => Refusal::new(
            RefusalKind::TimedOut,
            format!("it did not finish {doing} in its time"),
        ),
        End::Signal(signal) => by_signal(signal, doing),
        End::Code(code) => missing_library(&text).unwrap_or_else(|| {
            Refusal::new(
                RefusalKind::NotLlamaServer,
                format!("{doing} ended with code {code}"),
            )
        }),
    };
    Some(refusal.with_output(&text))
}

/// A refusal for a death by this signal.
pub(crate) fn by_signal(signal: i32, doing: &str) -> Refusal {
    match signal {
        libc::SIGILL => Refusal::new(
            RefusalKind::IllegalInstruction,
            format!(
                "it died by SIGILL during {doing}: it was built with instructions that this \
                 processor does not have"
            ),
        ),
        libc::SIGKILL => Refusal::new(
            RefusalKind::NotTried,
            format!("it was killed by SIGKILL during {doing}, as for want of memory"),
        ),
        signal => Refusal::new(
            RefusalKind::Crashed,
            format!("it died by {} during {doing}", signal_name(signal)),
        ),
    }
}

fn signal_name(signal: i32) -> String {
    match signal {
        libc::SIGSEGV => "SIGSEGV".to_owned(),
        libc::SIGABRT => "SIGABRT".to_owned(),
        libc::SIGBUS => "SIGBUS".to_owned(),
        libc::SIGFPE => "SIGFPE".to_owned(),
        libc::SIGTERM => "SIGTERM".to_owned(),
        libc::SIGTRAP => "SIGTRAP".to_owned(),
        other => format!("signal {other}"),
    }
}

/// Reads the dynamic linker's complaints.
pub(crate) fn missing_library(output: &str) -> Option<Refusal> {
    let found = output.lines().find_map(|line| {
        if let Some((_, rest)) = line.split_once("error while loading shared libraries: ") {
            let (library, why) = rest.split_once(": ").unwrap_or((rest, ""));
            return Some(if why.contains("No such file") {
                format!("it needs {library}, which is not on this machine")
            } else {
                format!("it needs {library}, which cannot be loaded: {why}")
            });
        }
        // The C library's own versions: /lib/libc.so.6: version `GLIBC_2.38' not found (required…
        let (library, rest) = line.split_once(": version `")?;
        let (version, _) = rest.split_once("' not found")?;
        let library = library.rsplit(['/', ' ']).next().unwrap_or(library);
        Some(format!(
            "it needs {version} of {library}, which is newer than this machine's"
        ))
    });
    // macOS
    let found = found.or_else(|| {
        output
            .lines()
            .find_map(|line| line.split_once("Library not loaded: "))
            .map(|(_, library)| {
                format!("it needs {}, which is not on this machine", library.trim())
            })
    });
    found.map(|reason| Refusal::new(RefusalKind::MissingLibrary, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(end: End, stderr: &str) -> Finished {
        Finished {
            end,
            stdout: String::new(),
            stderr: stderr.to_owned(),
        }
    }

    #[test]
    fn each_end_has_its_reason() {
        assert_eq!(judge(&finished(End::Code(0), "noise"), "--version"), None);
        let kind = |end, text: &str| judge(&finished(end, text), "--version").unwrap().kind;
        assert_eq!(
            kind(End::Signal(libc::SIGILL), ""),
            RefusalKind::IllegalInstruction
        );
        assert_eq!(kind(End::Signal(libc::SIGSEGV), ""), RefusalKind::Crashed);
        assert_eq!(kind(End::Signal(libc::SIGKILL), ""), RefusalKind::NotTried);
        assert_eq!(kind(End::TimedOut, ""), RefusalKind::TimedOut);
        assert_eq!(kind(End::Code(2), "usage:"), RefusalKind::NotLlamaServer);
    }

    #[test]
    fn the_linkers_complaints_are_read() {
        let reason = |text: &str| missing_library(text).unwrap().reason;
        assert_eq!(
            reason(
                "./llama-server: error while loading shared libraries: libvulkan.so.1: cannot open \
                 shared object file: No such file or directory"
            ),
            "it needs libvulkan.so.1, which is not on this machine"
        );
        assert_eq!(
            reason(
                "llama-server: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found \
                 (required by llama-server)"
            ),
            "it needs GLIBC_2.38 of libc.so.6, which is newer than this machine's"
        );
        assert_eq!(
            reason("dyld: Library not loaded: @rpath/libllama.dylib"),
            "it needs @rpath/libllama.dylib, which is not on this machine"
        );
        assert_eq!(missing_library("all is well"), None);
    }

    #[test]
    fn the_tail_is_short() {
        let lines: Vec<String> = (0..100).map(|line| format!("line {line}\n")).collect();
        let long = lines.join("\n");
        let refusal = Refusal::new(RefusalKind::Crashed, "x").with_output(&long);
        assert_eq!(refusal.log_tail.len(), 12);
        assert_eq!(refusal.log_tail[11], "line 99");
    }
}
