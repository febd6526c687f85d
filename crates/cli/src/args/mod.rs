//! What can be typed. The words here are the help that people read.

use crate::printer::ColorChoice;
use crate::setting_flags::{Everywhere, Runtime, Serve, Server, SettingFlags};
use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use llamatelemetry_settings::Environment;
use std::ffi::OsString;
use std::path::PathBuf;

mod examples;
mod serving;
mod texts;
mod trace;

pub(crate) use serving::{KeyArgs, KeysCommand, StopArgs};
pub(crate) use texts::{EmbedArgs, RerankArgs, TokenizeArgs};
pub(crate) use trace::{
    ExportFormat, ExportSignal, LogLevel, LogsArgs, MetricsArgs, TraceCheckArgs, TraceCommand,
    TraceExportArgs, TraceImportArgs, TraceListArgs, TracePurgeArgs, TraceQueryArgs, TraceShowArgs,
    TraceSqlArgs,
};

/// Run any GGUF model on your own machine and see what it does.
#[derive(Debug, Parser)]
#[command(
    name = "llt",
    bin_name = "llt",
    arg_required_else_help = true,
    subcommand_required = true,
    max_term_width = 100,
    after_help = examples::LLT
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) settings: SettingFlags<Everywhere>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How the output looks.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Flags of every command")]
pub(crate) struct OutputArgs {
    /// Print JSON on stdout: one document, or lines where the command streams
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Log what happens on stderr; twice also what llama-server logs
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to use colour
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub(crate) color: ColorChoice,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Ask a model once: the answer streams to stdout, its figures go to stderr
    #[command(after_help = examples::RUN)]
    Run(RunArgs),
    /// Talk with a model in the terminal
    #[command(after_help = examples::CHAT)]
    Chat(ChatArgs),
    /// Serve models over HTTP to any OpenAI, Anthropic or llama.cpp client, and record every request
    #[command(after_help = examples::SERVE)]
    Serve(ServeArgs),
    /// What runs: each `llt serve` of this home with its models
    #[command(after_help = examples::PS)]
    Ps,
    /// Stop a model that runs, or every `llt serve` of this home
    #[command(after_help = examples::STOP)]
    Stop(StopArgs),
    /// API keys of `llt serve`
    #[command(subcommand, after_help = examples::KEYS)]
    Keys(KeysCommand),
    /// Texts into vectors
    #[command(after_help = examples::EMBED)]
    Embed(EmbedArgs),
    /// Documents scored against a query
    #[command(after_help = examples::RERANK)]
    Rerank(RerankArgs),
    /// Texts into a model's tokens
    #[command(after_help = examples::TOKENIZE)]
    Tokenize(TokenizeArgs),
    /// The llama.cpp builds that run models
    #[command(subcommand, after_help = examples::RUNTIME)]
    Runtime(RuntimeCommand),
    /// The models: find, fetch, check, remove
    #[command(subcommand, after_help = examples::MODELS)]
    Models(ModelsCommand),
    /// GGUF files: look into them, check them
    #[command(subcommand, after_help = examples::GGUF)]
    Gguf(GgufCommand),
    /// The traces of this machine: list, show, check, export and import them
    #[command(subcommand, after_help = examples::TRACE)]
    Trace(TraceCommand),
    /// What requests cost: tokens, times, errors and joules by model and operation
    #[command(after_help = examples::METRICS)]
    Metrics(MetricsArgs),
    /// What was logged, by us and by llama-server
    #[command(after_help = examples::LOGS)]
    Logs(LogsArgs),
    /// The GPUs of this machine and what they do now
    #[command(after_help = examples::GPU)]
    Gpu(GpuArgs),
    /// What is wrong on this machine, and what to do about it
    #[command(after_help = examples::DOCTOR)]
    Doctor,
    /// The settings
    #[command(subcommand, after_help = examples::CONFIG)]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
}

/// How an answer is generated.
#[derive(Debug, Clone, Args)]
pub(crate) struct GenerateArgs {
    /// Tokens to generate at most
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) max_tokens: Option<u64>,
    /// Sampling temperature; 0 takes the likeliest token each time
    #[arg(short, long, value_name = "T", value_parser = temperature)]
    pub(crate) temperature: Option<f64>,
    /// Random seed
    #[arg(short, long, value_name = "S")]
    pub(crate) seed: Option<i64>,
    /// What the model is told to be
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Model: a path, a name from `llt models search`, hf:OWNER/REPO[:QUANT], a URL, pip:PACKAGE==VERSION
    pub(crate) model: String,
    /// What to ask; `-` or nothing reads it from stdin
    pub(crate) prompt: Option<String>,
    #[command(flatten)]
    pub(crate) generate: GenerateArgs,
    /// File with a JSON schema that the answer must satisfy
    #[arg(long, value_name = "FILE")]
    pub(crate) json_schema: Option<PathBuf>,
    /// Image to ask about, for models with a projector; can be given again
    #[arg(long, value_name = "FILE")]
    pub(crate) image: Vec<PathBuf>,
    /// Start a server of its own even if one with the same model is running
    #[arg(long)]
    pub(crate) isolated: bool,
    #[command(flatten)]
    pub(crate) server: SettingFlags<Server>,
    #[command(flatten)]
    pub(crate) runtime: SettingFlags<Runtime>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Models: any names that `llt run` takes
    pub(crate) model: Vec<String>,
    #[command(flatten)]
    pub(crate) serve: SettingFlags<Serve>,
    #[command(flatten)]
    pub(crate) server: SettingFlags<Server>,
    #[command(flatten)]
    pub(crate) runtime: SettingFlags<Runtime>,
}

#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    /// Model: any name that `llt run` takes
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) generate: GenerateArgs,
    /// Start a server of its own even if one with the same model is running
    #[arg(long)]
    pub(crate) isolated: bool,
    #[command(flatten)]
    pub(crate) server: SettingFlags<Server>,
    #[command(flatten)]
    pub(crate) runtime: SettingFlags<Runtime>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RuntimeCommand {
    /// Find, fetch or build llama.cpp now, and prove that it runs
    #[command(after_help = examples::RUNTIME_INSTALL)]
    Install(InstallArgs),
    /// List the builds in the home
    List,
    /// Show every source of llama.cpp with its verdict and reason
    Explain(RuntimeFlags),
    /// Print where one of llama.cpp's own programs is; it is built when it is first asked for
    #[command(after_help = examples::RUNTIME_TOOL)]
    Tool(ToolArgs),
    /// Print lines for a shell that make other programs use the build
    #[command(after_help = examples::RUNTIME_ENV)]
    Env(RuntimeFlags),
    /// Remove a build
    Remove {
        /// Name of the build, or its beginning
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// Look at every source anew, whatever was chosen before
    #[arg(long)]
    pub(crate) anew: bool,
    /// Use this source only
    #[arg(long, value_enum, value_name = "SOURCE")]
    pub(crate) only: Option<RuntimeSource>,
    #[command(flatten)]
    pub(crate) runtime: SettingFlags<Runtime>,
}

#[derive(Debug, Args)]
pub(crate) struct ToolArgs {
    /// Name of the program
    #[arg(value_enum)]
    pub(crate) tool: ToolName,
    #[command(flatten)]
    pub(crate) runtime: SettingFlags<Runtime>,
}

/// llama.cpp's own programs, by its names for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ToolName {
    #[value(name = "llama-bench")]
    Bench,
    #[value(name = "llama-fit-params")]
    FitParams,
    #[value(name = "llama-quantize")]
    Quantize,
    #[value(name = "llama-imatrix")]
    Imatrix,
    #[value(name = "llama-perplexity")]
    Perplexity,
    #[value(name = "llama-gguf-split")]
    GgufSplit,
    #[value(name = "ggml-rpc-server")]
    RpcServer,
    #[value(name = "convert_hf_to_gguf.py")]
    Converter,
}

/// The sources of a llama.cpp, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RuntimeSource {
    UserPath,
    Store,
    SearchPath,
    Release,
    Build,
}

#[derive(Debug, Args)]
pub(crate) struct RuntimeFlags {
    #[command(flatten)]
    pub(crate) runtime: SettingFlags<Runtime>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models that are here, with size, last use and duplicates
    List,
    /// Find models that can be fetched by a short name
    #[command(after_help = examples::MODELS_SEARCH)]
    Search {
        /// Words that must all occur; none lists everything
        words: Vec<String>,
    },
    /// Fetch and verify a model
    #[command(after_help = examples::MODELS_PULL)]
    Pull {
        /// Any name that `llt run` takes
        model: String,
    },
    /// Show all that is known about a model
    Show {
        /// Any name that `llt run` takes
        model: String,
    },
    /// Compare models with their known SHA-256, byte for byte
    Verify {
        /// Any name that `llt run` takes; none verifies every model that is here
        models: Vec<String>,
    },
    /// Tell which models of the catalogue fit this machine
    Recommend,
    /// Free room: remove what is neither pinned, in use nor recently used
    #[command(after_help = examples::MODELS_PRUNE)]
    Prune(PruneArgs),
    /// Remove a model
    Remove {
        /// Any name that `llt run` takes
        model: String,
        /// Remove it even if other programs share it
        #[arg(long)]
        force: bool,
    },
    /// Keep a model from being pruned
    Pin {
        /// Any name that `llt run` takes
        model: String,
    },
    /// Let a model be pruned again
    Unpin {
        /// Any name that `llt run` takes
        model: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Remove; without it, it is only told what would be
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only what was not used for so many days
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub(crate) unused_for: u32,
    /// Also what was fetched into the hub's cache, which other programs share
    #[arg(long)]
    pub(crate) hub: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GgufCommand {
    /// Show the facts about a model's file
    #[command(after_help = examples::GGUF_INSPECT)]
    Inspect {
        /// The file; of a split model any part
        file: PathBuf,
        /// Show the metadata too
        #[arg(long)]
        metadata: bool,
        /// Show the tensors too
        #[arg(long)]
        tensors: bool,
    },
    /// Read and check every byte that is not tensor data
    #[command(after_help = examples::GGUF_VALIDATE)]
    Validate {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting
    #[command(after_help = examples::CONFIG_SHOW)]
    Show {
        /// Only settings whose key contains this
        key: Option<String>,
        /// Show where each value came from
        #[arg(long)]
        origin: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct GpuArgs {
    /// Show it again every second until Ctrl-C; elsewhere than on a terminal in lines
    #[arg(short, long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

fn temperature(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        Err("it must be 0 or more".to_owned())
    }
}

/// The command as clap knows it.
pub(crate) fn command() -> clap::Command {
    let runtime = llamatelemetry::runtime::pinned_build()
        .map_or_else(|| "unknown".to_owned(), |number| format!("b{number}"));
    Cli::command().version(format!(
        "{}\nllama.cpp {runtime}",
        env!("CARGO_PKG_VERSION")
    ))
}

/// Reads this process's command line.
pub(crate) fn parse(environment: &Environment) -> Result<Cli, clap::Error> {
    let typed: Vec<OsString> = std::env::args_os().collect();
    let color = match color_of(&typed) {
        Some(ColorChoice::Always) => clap::ColorChoice::Always,
        Some(ColorChoice::Never) => clap::ColorChoice::Never,
        // clap knows NO_COLOR itself.
        _ if environment.get("TERM") == Some("dumb") => clap::ColorChoice::Never,
        _ => clap::ColorChoice::Auto,
    };
    let matches = command().color(color).try_get_matches_from(typed)?;
    Cli::from_arg_matches(&matches)
}

/// The colour that was asked for, before anything is parsed: help and mistakes are coloured too.
fn color_of(typed: &[OsString]) -> Option<ColorChoice> {
    use clap::ValueEnum as _;
    let mut found = None;
    for (index, word) in typed.iter().enumerate() {
        let word = word.to_str().unwrap_or_default();
        let value = match word.strip_prefix("--color=") {
            Some(value) => Some(value),
            None if word == "--color" => typed.get(index + 1).and_then(|next| next.to_str()),
            None if word == "--" => break,
            None => continue,
        };
        found = value.and_then(|value| ColorChoice::from_str(value, true).ok());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn colour_is_known_before_the_rest() {
        let typed = |words: &[&str]| -> Vec<OsString> { words.iter().map(Into::into).collect() };
        assert_eq!(color_of(&typed(&["llt", "gpu"])), None);
        assert_eq!(
            color_of(&typed(&["llt", "--color", "never"])),
            Some(ColorChoice::Never)
        );
        assert_eq!(
            color_of(&typed(&["llt", "--color=always", "x"])),
            Some(ColorChoice::Always)
        );
        assert_eq!(color_of(&typed(&["llt", "--", "--color=always"])), None);
    }
}
