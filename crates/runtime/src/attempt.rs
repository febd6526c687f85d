//! What was tried, and what came of it.

use crate::{Backend, Runtime};
use serde::Serialize;

/// The sources of a runtime, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The path the user set (`LLAMA_SERVER_PATH`).
    UserPath,
    /// Our own store of builds.
    Store,
    /// A `llama-server` on `PATH`.
    SearchPath,
    /// The pinned release's archive.
    Release,
    /// A build from source.
    Build,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::UserPath,
        Self::Store,
        Self::SearchPath,
        Self::Release,
        Self::Build,
    ];

    /// As a person would name it.
    pub fn title(self) -> &'static str {
        match self {
            Self::UserPath => "LLAMA_SERVER_PATH",
            Self::Store => "the store",
            Self::SearchPath => "PATH",
            Self::Release => "a release archive",
            Self::Build => "a build from source",
        }
    }
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It passed and is the one that is used.
    Chosen,
    /// It would do; an earlier one is used, or it was not made because only an explanation was
    /// asked for.
    Possible,
    /// It was tried and refused.
    Refused,
    /// There is nothing to try, or it does not apply.
    Skipped,
}

/// One source that was tried.
#[derive(Debug, Clone, Serialize)]
pub struct Attempt {
    /// Which source.
    pub step: Step,
    /// The path, archive or package in question.
    pub subject: String,
    /// The back end it was tried for.
    pub backend: Backend,
    /// What came of it.
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: String,
}

/// Every source with its verdict and reason.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The back end that is wanted.
    pub wanted: Backend,
    /// Why that one.
    pub wanted_because: String,
    /// The sources, in the order in which they are tried.
    pub attempts: Vec<Attempt>,
    /// The runtime that a load would use now without making anything.
    pub chosen: Option<Runtime>,
}
