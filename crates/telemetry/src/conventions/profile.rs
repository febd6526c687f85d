//! Which version of the conventions goes out.

use super::registry::Registry;
use super::tables;
use std::fmt;
use std::str::FromStr;

/// A version of the GenAI conventions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Core 1.36.0: what instrumentations keep to unless they are told otherwise.
    V1_36,
    /// Core 1.41: the last version that core has of them.
    V1_41,
    /// The text of their own repository.
    #[default]
    Latest,
}

impl Profile {
    /// All of them, oldest first.
    pub const ALL: [Self; 3] = [Self::V1_36, Self::V1_41, Self::Latest];

    /// Its name in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1_36 => "v1.36",
            Self::V1_41 => "v1.41",
            Self::Latest => "latest",
        }
    }

    /// What it defines.
    pub fn registry(self) -> &'static Registry {
        match self {
            Self::V1_36 => &tables::V1_36,
            Self::V1_41 => &tables::V1_41,
            Self::Latest => &tables::LATEST,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no profile of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no profile of the conventions is called {0:?}: v1.36, v1.41 or latest")]
pub struct UnknownProfile(String);

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.as_str() == text)
            .ok_or_else(|| UnknownProfile(text.to_owned()))
    }
}
