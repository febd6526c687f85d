//! What can be asked of recorded telemetry.

use super::examples;
use clap::{Args, Subcommand, ValueEnum};
use llamatelemetry_telemetry::conventions::{Profile, UnknownProfile};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub(crate) enum TraceCommand {
    /// List traces, the newest first
    #[command(after_help = examples::TRACE_LIST)]
    List(TraceListArgs),
    /// Show the spans of a trace
    #[command(after_help = examples::TRACE_SHOW)]
    Show(TraceShowArgs),
    /// Write what is stored into files: OTLP's JSON in lines, or Parquet
    #[command(after_help = examples::TRACE_EXPORT)]
    Export(TraceExportArgs),
    /// Take OTLP from files into the store
    #[command(after_help = examples::TRACE_IMPORT)]
    Import(TraceImportArgs),
    /// Ask what is stored in SQL
    #[command(after_help = examples::TRACE_SQL)]
    Sql(TraceSqlArgs),
    /// Hold recorded telemetry to the conventions, rule by rule
    #[command(after_help = examples::TRACE_CHECK)]
    Check(TraceCheckArgs),
    /// Remove traces, conversations or all of a time for good
    #[command(after_help = examples::TRACE_PURGE)]
    Purge(TracePurgeArgs),
}

/// Which traces are meant: those with a span that meets all of it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which traces: those with a span that meets all of it")]
pub(crate) struct TraceQueryArgs {
    /// Began in the last so much time: `90s`, `15m`, `1h`, `30d`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) since: Option<Duration>,
    /// Asks this model
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<String>,
    /// Does this: `chat`, `text_completion`, `embeddings`, `execute_tool`
    #[arg(long, value_name = "OPERATION")]
    pub(crate) operation: Option<String>,
    /// Failed
    #[arg(long)]
    pub(crate) failed: bool,
    /// Took at least so long: `500ms`, `2s`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) longer_than: Option<Duration>,
    /// Has this attribute; can be given again
    #[arg(long, value_name = "KEY=VALUE", value_parser = attribute)]
    pub(crate) attribute: Vec<(String, String)>,
    /// Holds these words in its name, its events or an attribute; can be given again
    #[arg(long, value_name = "WORDS")]
    pub(crate) text: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct TraceListArgs {
    /// Traces at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
    /// Go on as more are stored, the newest last, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) query: TraceQueryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TraceShowArgs {
    /// Id of the trace, its beginning, or `last` for the newest
    #[arg(value_name = "TRACE")]
    pub(crate) trace: String,
}

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportSignal {
    Traces,
    Metrics,
    Logs,
    All,
}

/// In which form is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// OTLP's JSON, one export request a line
    Otlp,
    /// A table for Spark, `DuckDB` and pandas
    Parquet,
    /// One trace with settings, builds, models and machine, as one JSON document
    RunRecord,
}

#[derive(Debug, Args)]
pub(crate) struct TraceExportArgs {
    /// In which form
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ExportFormat::Otlp)]
    pub(crate) format: ExportFormat,
    /// The trace that a run record is of: its id, the beginning of it, or `last`
    #[arg(value_name = "TRACE")]
    pub(crate) trace: Option<String>,
    /// What to export; of logs those of the traces meant, of metrics those of the time
    #[arg(long, value_enum, value_name = "SIGNAL", default_value_t = ExportSignal::Traces)]
    pub(crate) signal: ExportSignal,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) query: TraceQueryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TraceImportArgs {
    /// Files of OTLP: JSON, lines of JSON or protobuf, packed with gzip or not; `-` reads stdin
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TraceSqlArgs {
    /// The question; `-` or nothing reads it from stdin
    #[arg(value_name = "SELECT")]
    pub(crate) sql: Option<String>,
    /// Print comma-separated values
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    /// Stop after so much time: `10s`, `5m`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Only list the views and their columns
    #[arg(long, conflicts_with_all = ["sql", "csv", "timeout"])]
    pub(crate) views: bool,
    /// Read everything and compare afterwards, whatever the question says
    #[arg(long, hide = true)]
    pub(crate) full_scan: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TracePurgeArgs {
    /// These traces: ids, their beginnings, or `last`
    #[arg(value_name = "TRACE")]
    pub(crate) traces: Vec<String>,
    /// Of this conversation (`gen_ai.conversation.id`)
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: Option<String>,
    /// Began at least so long ago; alone it removes metrics and logs of that time as well
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) older_than: Option<Duration>,
    /// Everything
    #[arg(long, conflicts_with_all = ["traces", "conversation", "older_than"])]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) query: TraceQueryArgs,
    /// Remove without being asked
    #[arg(long)]
    pub(crate) yes: bool,
    /// Only count what would go
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TraceCheckArgs {
    /// Files of OTLP: JSON, lines of JSON or protobuf, packed with gzip or not; `-` reads stdin;
    /// none checks what lies in the store
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The version of the conventions; without it each scope's own, by its schema
    #[arg(long, value_name = "PROFILE", value_parser = profile)]
    pub(crate) profile: Option<Profile>,
    /// Of the store only what began in the last so much time
    #[arg(
        long,
        value_name = "TIME",
        value_parser = duration,
        default_value = "1h",
        conflicts_with = "files"
    )]
    pub(crate) since: Duration,
    /// Only list the rules
    #[arg(long, conflicts_with_all = ["files", "since"])]
    pub(crate) rules: bool,
}

/// How grave a log record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Only of the last so much time: `90s`, `15m`, `1h`, `30d`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) since: Option<Duration>,
    /// Only this grave or graver
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub(crate) level: Option<LogLevel>,
    /// Only of this trace: its id, the beginning of it, or `last`
    #[arg(long, value_name = "TRACE")]
    pub(crate) trace: Option<String>,
    /// Only what holds these words; can be given again
    #[arg(long, value_name = "WORDS")]
    pub(crate) text: Vec<String>,
    /// Lines at most, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 200)]
    pub(crate) limit: usize,
    /// Go on as more is logged, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// Only requests of the last so much time, to the minute: `15m`, `1h`, `30d`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) since: Option<Duration>,
}

fn profile(text: &str) -> Result<Profile, String> {
    text.parse()
        .map_err(|error: UnknownProfile| error.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    llamatelemetry_settings::duration(text)
        .ok_or_else(|| "a duration is written like `90s`, `500ms`, `15m`, `1h`, `30d`".to_owned())
}

fn attribute(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("an attribute is written like `gen_ai.conversation.id=c1`".to_owned()),
    }
}
