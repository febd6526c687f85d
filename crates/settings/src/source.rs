//! Where values come from outside the config file: variables, and what other programs left.

use crate::Environment;
use std::ffi::OsString;
use std::path::Path;

/// A variable that sets a setting.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The variable's name.
    pub variable: &'static str,
    /// What lies below the folder that it names, if it is not the value itself.
    pub below: Option<&'static str>,
}

impl Source {
    /// The variable holds the value.
    pub(crate) const fn value(variable: &'static str) -> Self {
        Self {
            variable,
            below: None,
        }
    }

    /// The value is this path in the folder that the variable names.
    pub(crate) const fn below(variable: &'static str, path: &'static str) -> Self {
        Self {
            variable,
            below: Some(path),
        }
    }

    /// Whether the variable is ours. A mistake in ours is an error; others' variables are set for
    /// other programs, so a value that means nothing here must not stop this one.
    pub(crate) fn is_ours(&self) -> bool {
        self.variable.starts_with("LLAMATELEMETRY_") || self.variable == "LLAMA_SERVER_PATH"
    }

    /// What the variable says, as a variable of the setting's own type would.
    pub(crate) fn read(&self, environment: &Environment) -> Option<OsString> {
        let value = environment.get_os(self.variable)?;
        if let Some(below) = self.below {
            return Some(Path::new(value).join(below).into_os_string());
        }
        Some(value.to_owned())
    }
}

/// What the platform and the model hub's own tools say.
pub(crate) mod hub {
    use super::{Environment, OsString};
    use crate::Origin;
    use std::io::ErrorKind;
    use std::path::PathBuf;

    /// A value that was found, and where.
    #[derive(Debug)]
    pub(crate) struct Found {
        pub(crate) value: OsString,
        pub(crate) origin: Origin,
    }

    /// Looks a default up; what is odd but does no harm goes to the notices.
    pub(crate) type Lookup = fn(&Environment, &mut Vec<String>) -> Option<Found>;

    fn from_variable(value: PathBuf, variable: &'static str) -> Found {
        Found {
            value: value.into_os_string(),
            origin: Origin::Environment(variable),
        }
    }

    fn from_user_home(value: PathBuf) -> Found {
        Found {
            value: value.into_os_string(),
            origin: Origin::Default,
        }
    }

    /// The home folder in the platform's data folder.
    pub(crate) fn home(environment: &Environment, _notices: &mut Vec<String>) -> Option<Found> {
        // The XDG rules: a relative path there is to be ignored.
        if let Some(data) = absolute(environment, "XDG_DATA_HOME") {
            let home = data.join("llamatelemetry");
            return Some(from_variable(home, "XDG_DATA_HOME"));
        }
        let user = environment.user_home()?;
        let data = if cfg!(target_os = "macos") {
            user.join("Library/Application Support")
        } else {
            user.join(".local/share")
        };
        Some(from_user_home(data.join("llamatelemetry")))
    }

    fn absolute(environment: &Environment, variable: &str) -> Option<PathBuf> {
        environment
            .get_os(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    }

    /// The hub's cache, by the last steps of llama.cpp's own order.
    pub(crate) fn cache(environment: &Environment, _notices: &mut Vec<String>) -> Option<Found> {
        if let Some(cache) = environment.get_os("XDG_CACHE_HOME") {
            let path = PathBuf::from(cache).join("huggingface/hub");
            return Some(from_variable(path, "XDG_CACHE_HOME"));
        }
        let user = environment.user_home()?;
        Some(from_user_home(user.join(".cache/huggingface/hub")))
    }

    /// The token in the file that the hub's own tools write.
    pub(crate) fn token(environment: &Environment, notices: &mut Vec<String>) -> Option<Found> {
        let disabled = environment.get("HF_HUB_DISABLE_IMPLICIT_TOKEN");
        if disabled.is_some_and(is_true_for_the_hub) {
            return None;
        }
        let path = token_path(environment)?;
        match std::fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => None,
            Ok(text) => {
                if let Some(mode) = crate::guard::others_can_read(&path) {
                    notices.push(format!(
                        "others can read the hub token (mode {mode:04o}); run: chmod 600 {}",
                        path.display()
                    ));
                }
                Some(Found {
                    value: text.trim().into(),
                    origin: Origin::TokenFile(path),
                })
            }
            Err(error) => {
                if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
                    notices.push(format!(
                        "the hub token is not used: {}: {error}",
                        path.display()
                    ));
                }
                None
            }
        }
    }

    fn token_path(environment: &Environment) -> Option<PathBuf> {
        let named = |variable| environment.get_os(variable).map(PathBuf::from);
        named("HF_TOKEN_PATH")
            .or_else(|| named("HF_HOME").map(|home| home.join("token")))
            .or_else(|| named("XDG_CACHE_HOME").map(|cache| cache.join("huggingface/token")))
            .or_else(|| Some(environment.user_home()?.join(".cache/huggingface/token")))
    }

    /// The words that the hub's own tools take for "yes".
    fn is_true_for_the_hub(word: &str) -> bool {
        ["1", "ON", "YES", "TRUE"].contains(&word.to_ascii_uppercase().as_str())
    }
}
