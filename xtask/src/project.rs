//! The repository, and the environment its tools and tests run in.

use anyhow::{Context as _, Result, bail};
use llamatelemetry_settings::Environment;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Families of variables that would let the user's own settings into a test, and those that
/// cargo sets for the very program it runs (this one).
const DROPPED: &[&str] = &[
    "CARGO_BIN_",
    "CARGO_CRATE_",
    "CARGO_MANIFEST_",
    "CARGO_PKG_",
    "CARGO_PRIMARY_",
    "GGML_",
    "HF_",
    "HUGGINGFACE_",
    "LLAMATELEMETRY_",
    "LLAMA_",
    "OLLAMA_",
    "OTEL_",
    "XDG_",
];

/// What the user says to the tests themselves.
const FOR_TESTS: &str = "LLAMATELEMETRY_TEST_";

/// The repository, and the environment its tools and tests run in.
#[derive(Debug)]
pub(crate) struct Project {
    /// The root folder.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
    /// The cargo that runs us.
    cargo: OsString,
    process: Environment,
}

impl Project {
    /// The repository that this program was built from.
    pub(crate) fn open() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("xtask lies in the repository's root")?
            .to_owned();
        if !root.join("Cargo.toml").is_file() {
            bail!(
                "the repository has moved away from {}: build xtask again",
                root.display()
            );
        }
        let process = Environment::from_process();
        let target = process
            .get_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |target| root.join(target));
        let cargo = process.get_os("CARGO").unwrap_or(OsStr::new("cargo"));
        Ok(Self {
            cargo: cargo.to_owned(),
            root,
            target,
            process,
        })
    }

    /// The folder of the test bed: tools, the shared home, logs.
    pub(crate) fn testbed(&self) -> PathBuf {
        self.target.join("testbed")
    }

    /// Cargo, in the clean environment.
    pub(crate) fn cargo<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Command {
        let mut command = self.command(&self.cargo);
        command.args(arguments);
        command
    }

    /// A program, at the root of the repository and in the clean environment.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env_clear()
            .envs(self.environment());
        command
    }

    /// The environment of everything we start: nothing of the user's own (models, caches, llama.cpp
    /// and telemetry settings), a home folder below `target/testbed`, the tests' Python first on
    /// `PATH`. What reaches the outside stays as it is: proxies, certificates, pip's settings.
    fn environment(&self) -> BTreeMap<OsString, OsString> {
        let mut environment: BTreeMap<OsString, OsString> = self
            .process
            .iter()
            .filter(|(name, _)| name.to_str().is_none_or(is_kept))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let testbed = self.testbed();
        let mut keep = |name: &str, value: OsString| {
            environment.entry(OsString::from(name)).or_insert(value);
        };
        keep("LLAMATELEMETRY_TEST_HOME", testbed.join("home").into());
        if let Some(home) = self.process.get_os("HOME").map(PathBuf::from) {
            keep("CARGO_HOME", home.join(".cargo").into());
            keep("RUSTUP_HOME", home.join(".rustup").into());
            let configs = [
                home.join(".config/pip/pip.conf"),
                home.join(".pip/pip.conf"),
            ];
            if let Some(config) = configs.into_iter().find(|config| config.is_file()) {
                keep("PIP_CONFIG_FILE", config.into());
            }
            if home.join(".netrc").is_file() {
                keep("NETRC", home.join(".netrc").into());
            }
        }
        let mut path = testbed.join("python/bin").into_os_string();
        if let Some(rest) = self.process.get_os("PATH") {
            path.push(":");
            path.push(rest);
        }
        let user = testbed.join("user");
        environment.extend([
            (OsString::from("PATH"), path),
            ("HOME".into(), user.clone().into()),
            ("XDG_CACHE_HOME".into(), user.join(".cache").into()),
            ("XDG_CONFIG_HOME".into(), user.join(".config").into()),
            ("XDG_DATA_HOME".into(), user.join(".local/share").into()),
            ("HF_HOME".into(), testbed.join("huggingface").into()),
            ("OLLAMA_MODELS".into(), testbed.join("ollama").into()),
            ("LLAMATELEMETRY_HOME".into(), testbed.join("no-home").into()),
            ("INSTA_UPDATE".into(), "no".into()),
        ]);
        environment
    }
}

fn is_kept(name: &str) -> bool {
    name.starts_with(FOR_TESTS) || !DROPPED.iter().any(|family| name.starts_with(family))
}

/// Runs a command to its end; its output goes where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    if !status.success() {
        bail!("{status}: {}", shown(command));
    }
    Ok(())
}

/// Runs a command and returns what it wrote to standard output.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", shown(command)))?;
    if !output.status.success() {
        bail!("{}: {}", output.status, shown(command));
    }
    Ok(output.stdout)
}

/// A command line as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
