//! Running `llt` in a home of its own.

use llamatelemetry_testbed::{ScratchHome, scratch_home};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// `llt` in a home of its own, offline unless a test says otherwise.
pub(crate) struct Llt {
    pub(crate) home: ScratchHome,
}

impl Llt {
    /// Without a runtime, offline.
    pub(crate) fn new() -> Self {
        Self::online().with("LLAMATELEMETRY_OFFLINE", "1")
    }

    /// Without a runtime, and free to use the network.
    pub(crate) fn online() -> Self {
        Self {
            home: scratch_home(),
        }
    }

    /// With the tests' own llama-server, offline.
    pub(crate) fn with_runtime() -> Self {
        let server = llamatelemetry_testbed::runtime().server;
        Self::new().with("LLAMA_SERVER_PATH", server)
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<std::ffi::OsString>) -> Self {
        self.home = self.home.with(name, value);
        self
    }

    /// The command, its input empty.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(env!("CARGO_BIN_EXE_llt"));
        command
            .args(args)
            .current_dir(self.root())
            .env_remove("CLICOLOR_FORCE")
            .env_remove("COLUMNS")
            .stdin(Stdio::null());
        command
    }

    /// The temporary folder, which is the working folder too.
    pub(crate) fn root(&self) -> &Path {
        self.home.root()
    }

    /// Writes a file into the temporary folder.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.root().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::new(self, &self.command(args).output().unwrap())
    }

    /// The same with something on its stdin.
    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Ran {
        use std::io::Write as _;
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        Ran::new(self, &child.wait_with_output().unwrap())
    }

    /// Text with what differs from machine to machine named instead.
    pub(crate) fn plain(&self, text: &str) -> String {
        let root = self.root().display().to_string();
        let server = llamatelemetry_testbed::proof_model();
        let testbed = server.parent().unwrap().display().to_string();
        text.replace(&root, "[root]").replace(&testbed, "[testbed]")
    }
}

/// What came out, and how it ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn new(llt: &Llt, output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: llt.plain(&String::from_utf8_lossy(&output.stdout)),
            stderr: llt.plain(&String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// Everything, for a snapshot.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        match self.code {
            Some(code) => writeln!(text, "exit code: {code}").unwrap(),
            None => writeln!(text, "ended by a signal").unwrap(),
        }
        for (title, stream) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !stream.is_empty() {
                write!(text, "----- {title} -----\n{stream}").unwrap();
            }
        }
        text
    }

    /// The JSON document on stdout.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// What differs from run to run, by pattern.
pub(crate) const FILTERS: &[(&str, &str)] = &[
    (r"https://[a-z0-9.-]+", "https://[host]"),
    (r"\b[a-z0-9.-]+\.[a-z]+:443\b", "[host]:443"),
    // Addresses have a folder each, and a test's server another port each time.
    (r"/url/[0-9a-f]{16}/", "/url/[digest]/"),
    // What the resolver says differs from system to system.
    (
        r"(failed to lookup address information): [^:]+:",
        "$1: [reason]:",
    ),
    (r"\b\d+(\.\d+)? (ms|s)\b", "[time]"),
    (r"\b\d+ min \d+ s\b", "[time]"),
    (r"\b\d+(\.\d+)?/s\b", "[rate]"),
    (r"\b\d+(\.\d+)? [kMG]?B/s\b", "[rate]"),
];

/// Compares everything that came out with a snapshot.
macro_rules! assert_ran {
    ($ran:expr $(, @$text:literal)?) => {
        crate::llt::assert_text!($ran.text() $(, @$text)?)
    };
}

/// Compares a text that came out with a snapshot.
macro_rules! assert_text {
    ($text:expr $(, @$literal:literal)?) => {
        insta::with_settings!({ filters => crate::llt::FILTERS.to_vec() }, {
            insta::assert_snapshot!($text $(, @$literal)?);
        })
    };
}
pub(crate) use assert_ran;
pub(crate) use assert_text;
