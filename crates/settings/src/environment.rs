//! The process environment as a value.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

/// A copy of the environment, taken once and passed along, so that tests and embedding programs
/// can hand in their own. `Debug` shows names only: values may be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    /// The user's folder from the account database, where the environment lacks `HOME`.
    account_home: Option<PathBuf>,
}

impl Environment {
    /// The environment of this process: the one place that reads it.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn from_process() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
            account_home: std::env::home_dir().filter(|home| !home.as_os_str().is_empty()),
        }
    }

    /// An environment of the given pairs only.
    pub fn from_pairs<K: Into<OsString>, V: Into<OsString>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self {
            variables: pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
            account_home: None,
        }
    }

    /// The same environment with one variable more, or changed.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// The same environment without a variable.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.variables.remove(OsStr::new(name));
        self
    }

    /// The value of a variable, if it is set, not empty and valid UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_os(name).and_then(OsStr::to_str)
    }

    /// The value of a variable, if it is set and not empty.
    pub fn get_os(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// The user's own folder: `HOME`, else what the account database says.
    pub fn user_home(&self) -> Option<PathBuf> {
        self.get_os("HOME")
            .map(PathBuf::from)
            .or_else(|| self.account_home.clone())
    }

    /// All variables, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .map(|(key, value)| (key.as_os_str(), value.as_os_str()))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment ")?;
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_values() {
        let environment = Environment::from_pairs([("HF_TOKEN", "hf_secret")]);
        let shown = format!("{environment:?}");
        assert!(shown.contains("HF_TOKEN"), "{shown}");
        assert!(!shown.contains("hf_secret"), "{shown}");
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let environment = Environment::from_pairs([("HOME", "")]);
        assert_eq!(environment.get("HOME"), None);
        assert_eq!(environment.user_home(), None);
    }
}
