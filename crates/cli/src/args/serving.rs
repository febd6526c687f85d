//! What can be typed about servers that run.

use clap::{Args, Subcommand};
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key; it is printed this once and cannot be shown again
    #[command(after_help = super::examples::KEYS_ADD)]
    Add(KeyArgs),
    /// List the keys and what each may do
    List,
    /// Take a key away, also from servers that run
    Revoke {
        /// Name of the key
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// Name of the key, for logs and records
    pub(crate) name: String,
    /// Model that it may use, by the name it is served under; can be given again; none allows all
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Vec<String>,
    /// Requests that it may make a minute
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) requests_per_minute: Option<u32>,
    /// Tokens, of prompts and answers, that it may use a minute
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) tokens_per_minute: Option<u32>,
    /// How long it is taken: `30d`
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) expires: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// Model, by the name it is served under; none ends every `llt serve` of this home
    pub(crate) model: Option<String>,
}

/// A time that people write: `30d`.
fn time(text: &str) -> Result<Duration, String> {
    llamatelemetry_settings::duration(text)
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "it must be a time such as `30s`, `5m` or `30d`".to_owned())
}
