//! The one list of environment variables.

/// One environment variable that the project reads.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it sets, in one sentence.
    pub what: &'static str,
}

/// Every variable that is read, ordered by name within its family.
pub const VARIABLES: &[Variable] = &[Variable {
    name: "LLAMATELEMETRY_HOME",
    what: "Folder that all state lives in.",
}];
