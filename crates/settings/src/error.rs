//! What can be wrong with settings.

use crate::Origin;
use std::path::PathBuf;

/// What can be wrong with settings, the home folder or its locks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// No home folder can be told: neither `LLAMATELEMETRY_HOME` nor `HOME` is set, and the
    /// account has none.
    #[error("no home folder: neither LLAMATELEMETRY_HOME nor HOME is set")]
    NoHome,
    /// The home folder could not be made or read.
    #[error("cannot use the home folder: {path}")]
    Home {
        /// The folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A lock file could not be opened or locked.
    #[error("cannot lock {path}")]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A settings file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The config file is not TOML.
    #[error("{message}: {path}:{line}")]
    Syntax {
        /// What is wrong.
        message: String,
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// The config file holds a key that is no setting.
    #[error("unknown setting `{key}`: {path}:{line}")]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The known keys that look like it, nearest first.
        nearest: Vec<&'static str>,
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A setting that the config file cannot hold.
    #[error("`{key}` cannot be set in the config file: {path}:{line}")]
    NotInFile {
        /// The setting.
        key: &'static str,
        /// The environment variable that sets it.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A value that the setting cannot take.
    #[error("`{key}` must be {expected}{}: {}", got(found.as_deref()), place(origin, *line))]
    Value {
        /// The setting.
        key: &'static str,
        /// What it can be.
        expected: String,
        /// What it was; `None` for a secret.
        found: Option<String>,
        /// Where it was set.
        origin: Origin,
        /// The line in the config file, counted from 1.
        line: Option<usize>,
    },
    /// A value that a model's table cannot hold.
    #[error("`{key}` of the model `{model}` must be {expected}, not `{found}`: {path}:{line}")]
    ModelValue {
        /// The model.
        model: Box<str>,
        /// The key in its table.
        key: &'static str,
        /// What it can be.
        expected: &'static str,
        /// What it was.
        found: Box<str>,
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A flag was handed in that no setting has.
    #[error("no setting has the key `{key}`")]
    NoSuchSetting {
        /// The key.
        key: String,
        /// The known keys that look like it, nearest first.
        nearest: Vec<&'static str>,
    },
    /// A file that holds a secret can be read by others.
    #[error("`{key}` is a secret, but others can read it (mode {mode:04o}): {path}")]
    Exposed {
        /// The secret setting in it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The config file can be written by anybody, and it names programs to run.
    #[error("everybody can write to the config file (mode {mode:04o}): {path}")]
    Writable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

impl SettingsError {
    /// What to do about it, the likeliest first.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::NoHome => vec!["set LLAMATELEMETRY_HOME to a folder that you own".into()],
            Self::Home { source, .. } | Self::Lock { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                    vec!["set LLAMATELEMETRY_HOME to a folder that you can write to".into()]
                }
                std::io::ErrorKind::StorageFull => {
                    vec!["free space there, or set LLAMATELEMETRY_HOME to another disk".into()]
                }
                _ => Vec::new(),
            },
            Self::Read { path, source } => match source.kind() {
                std::io::ErrorKind::NotFound => vec![format!(
                    "create {}, or unset LLAMATELEMETRY_CONFIG",
                    path.display()
                )],
                _ => Vec::new(),
            },
            Self::UnknownKey { nearest, .. } | Self::NoSuchSetting { nearest, .. } => {
                match nearest.as_slice() {
                    [] => vec!["`llt config show` lists every setting".into()],
                    [one] => vec![format!("did you mean `{one}`?")],
                    several => vec![format!("did you mean one of `{}`?", several.join("`, `"))],
                }
            }
            Self::NotInFile { variable, .. } => {
                vec![format!("set the environment variable {variable} instead")]
            }
            Self::Exposed { path, .. } => vec![format!("run: chmod 600 {}", path.display())],
            Self::Writable { path, .. } => vec![format!("run: chmod go-w {}", path.display())],
            Self::Syntax { .. } | Self::Value { .. } | Self::ModelValue { .. } => Vec::new(),
        }
    }

    /// Whether the mistake was typed on the command line.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Value {
                origin: Origin::Flag(_),
                ..
            }
        )
    }
}

fn got(found: Option<&str>) -> String {
    found
        .map(|text| format!(", not `{text}`"))
        .unwrap_or_default()
}

fn place(origin: &Origin, line: Option<usize>) -> String {
    match line {
        Some(line) => format!("{origin}:{line}"),
        None => origin.to_string(),
    }
}
