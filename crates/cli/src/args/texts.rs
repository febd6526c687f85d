//! Commands that take texts: `llt tokenize`, `llt embed`, `llt rerank`.

use crate::setting_flags::{Runtime, Server, SettingFlags};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct TokenizeArgs {
    /// Model: any name that `llt run` takes
    pub(crate) model: String,
    /// Texts; without any, and without --file, stdin is one
    pub(crate) text: Vec<String>,
    /// File that is one text, `-` for stdin; can be given again
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// Add the tokens that the model begins its input with
    #[arg(long)]
    pub(crate) special: bool,
    /// Take texts that look like special tokens as they are written
    #[arg(long)]
    pub(crate) literal: bool,
    #[command(flatten)]
    pub(crate) server: SettingFlags<Server>,
    #[command(flatten)]
    pub(crate) runtime: SettingFlags<Runtime>,
}

#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// Model: any name that `llt run` takes; one that generates makes vectors too
    pub(crate) model: String,
    /// Texts; without any, and without --file, each line of stdin is one
    pub(crate) text: Vec<String>,
    /// File whose every line is a text, `-` for stdin; can be given again
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// File to write the vectors to, .npy or .jsonl
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Leave the vectors as the model makes them; else their length is 1
    #[arg(long)]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) server: SettingFlags<Server>,
    #[command(flatten)]
    pub(crate) runtime: SettingFlags<Runtime>,
}

#[derive(Debug, Args)]
pub(crate) struct RerankArgs {
    /// Model: any name that `llt run` takes; it must be one that ranks
    pub(crate) model: String,
    /// What the documents are to answer
    pub(crate) query: String,
    /// Documents; without any, and without --file, each line of stdin is one
    pub(crate) document: Vec<String>,
    /// File whose every line is a document, `-` for stdin; can be given again
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// The best so many
    #[arg(long, value_name = "N")]
    pub(crate) top: Option<usize>,
    #[command(flatten)]
    pub(crate) server: SettingFlags<Server>,
    #[command(flatten)]
    pub(crate) runtime: SettingFlags<Runtime>,
}
