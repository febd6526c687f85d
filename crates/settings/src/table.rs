//! The one table of settings. Resolution, `llt config show`, the flags of the command line and
//! `docs/settings.md` all come from it.

use crate::field::{Field, field};
use crate::source::{Source, hub};
use std::time::Duration;

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its key in the config file: `network.offline`.
    pub key: &'static str,
    /// What it does, in one sentence.
    pub what: &'static str,
    /// What it is when nobody says anything.
    pub default: Fallback,
    /// The variables that set it, strongest first.
    pub variables: &'static [Source],
    /// The flag that sets it.
    pub flag: Option<Flag>,
    /// Whether the config file can hold it.
    pub in_file: bool,
    /// Whether its value is hidden.
    pub secret: bool,
    pub(crate) field: Field,
    pub(crate) lookup: Option<hub::Lookup>,
}

/// What a setting is when nobody says anything.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// This value, written as a variable would hold it.
    Value(&'static str),
    /// Nothing; the text says what that means.
    Unset(&'static str),
    /// What the platform or another program says; the text tells where that is looked up.
    Found(&'static str),
}

/// The flag of a setting.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// The flag's name without dashes.
    pub long: &'static str,
    /// What to write after it; `None` for a switch.
    pub value: Option<&'static str>,
    /// Which commands take it.
    pub group: FlagGroup,
    /// The words it takes and what each stores, if it is not the setting's own value.
    pub words: &'static [(&'static str, &'static str)],
}

/// Which commands take a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagGroup {
    /// Every command.
    Everywhere,
    /// Commands that find or build llama.cpp.
    Runtime,
    /// Commands that start a server.
    Server,
    /// `llt serve`.
    Serve,
}

impl Flag {
    const fn switch(long: &'static str, group: FlagGroup) -> Self {
        Self {
            long,
            value: None,
            group,
            words: &[],
        }
    }

    const fn value(long: &'static str, value: &'static str, group: FlagGroup) -> Self {
        Self {
            long,
            value: Some(value),
            group,
            words: &[],
        }
    }
}

const PLAIN: Setting = Setting {
    key: "",
    what: "",
    default: Fallback::Unset(""),
    variables: &[],
    flag: None,
    in_file: true,
    secret: false,
    field: field!(network.offline),
    lookup: None,
};

/// Every setting, in the order in which people meet them.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "home",
        what: "Folder that all state lives in.",
        default: Fallback::Found(
            "`llamatelemetry` in the platform's data folder (`XDG_DATA_HOME`, else \
             `~/.local/share`; on macOS `~/Library/Application Support`)",
        ),
        lookup: Some(hub::home),
        variables: &[Source::value("LLAMATELEMETRY_HOME")],
        flag: Some(Flag::value("home", "FOLDER", FlagGroup::Everywhere)),
        in_file: false,
        field: field!(home),
        ..PLAIN
    },
    Setting {
        key: "network.offline",
        what: "Contact nothing outside this machine; only what is already here is used.",
        default: Fallback::Value("false"),
        variables: &[
            Source::value("LLAMATELEMETRY_OFFLINE"),
            Source::value("HF_HUB_OFFLINE"),
        ],
        flag: Some(Flag::switch("offline", FlagGroup::Everywhere)),
        field: field!(network.offline),
        ..PLAIN
    },
    Setting {
        key: "network.give_up_after",
        what: "How long, in all, one run waits for hosts that do not answer before it goes on \
               with the next source.",
        default: Fallback::Value("5s"),
        variables: &[Source::value("LLAMATELEMETRY_GIVE_UP_AFTER")],
        field: field!(network.give_up_after),
        ..PLAIN
    },
    Setting {
        key: "network.connections",
        what: "Connections for one download at most.",
        default: Fallback::Value("8"),
        variables: &[Source::value("LLAMATELEMETRY_CONNECTIONS")],
        field: field!(network.connections, "a whole number from 1 to 64", |n| (1
            ..=64)
            .contains(n)),
        ..PLAIN
    },
    Setting {
        key: "network.mirrors.releases",
        what: "Base address of the release interface to use instead of llama.cpp's own.",
        default: Fallback::Unset("the built-in one"),
        variables: &[Source::value("LLAMATELEMETRY_RELEASES_MIRROR")],
        field: field!(network.mirrors.releases, WEB_ADDRESS, is_web_address),
        ..PLAIN
    },
    Setting {
        key: "network.mirrors.hub",
        what: "Base address of the model hub to use instead of the usual one.",
        default: Fallback::Unset("the built-in one"),
        variables: &[
            Source::value("LLAMATELEMETRY_HUB_MIRROR"),
            Source::value("MODEL_ENDPOINT"),
            Source::value("HF_ENDPOINT"),
        ],
        field: field!(network.mirrors.hub, WEB_ADDRESS, is_web_address),
        ..PLAIN
    },
    Setting {
        key: "runtime.server_path",
        what: "A `llama-server` to use. Never overwritten.",
        default: Fallback::Unset("found or built"),
        variables: &[Source::value("LLAMA_SERVER_PATH")],
        flag: Some(Flag::value("server-path", "FILE", FlagGroup::Runtime)),
        field: field!(runtime.server_path),
        ..PLAIN
    },
    Setting {
        key: "runtime.source",
        what: "A llama.cpp source tree, or a `.tar.gz` of one, to build instead of the package \
               from the registry.",
        default: Fallback::Unset("the registry's package"),
        variables: &[Source::value("LLAMATELEMETRY_SOURCE")],
        flag: Some(Flag::value("source", "PATH", FlagGroup::Runtime)),
        field: field!(runtime.source),
        ..PLAIN
    },
    Setting {
        key: "runtime.backend",
        what: "Which device back end the runtime should have: CUDA where a GPU and a driver are \
               (`auto`), the processor alone (`cpu`), CUDA or fail (`cuda`).",
        default: Fallback::Value("auto"),
        variables: &[Source::value("LLAMATELEMETRY_BACKEND")],
        flag: Some(Flag::value("backend", "BACKEND", FlagGroup::Runtime)),
        field: field!(runtime.backend),
        ..PLAIN
    },
    Setting {
        key: "runtime.build_jobs",
        what: "Compile jobs at once.",
        default: Fallback::Unset("one a processor"),
        variables: &[Source::value("LLAMATELEMETRY_BUILD_JOBS")],
        flag: Some(Flag::value("build-jobs", "N", FlagGroup::Runtime)),
        field: field!(runtime.build_jobs, AT_LEAST_ONE, |n| *n != Some(0)),
        ..PLAIN
    },
    Setting {
        key: "runtime.python",
        what: "Python interpreter whose pip brings packages.",
        default: Fallback::Unset("the first `python3` on `PATH`"),
        variables: &[Source::value("LLAMATELEMETRY_PYTHON")],
        field: field!(runtime.python),
        ..PLAIN
    },
    Setting {
        key: "runtime.bootstrap",
        what: "When llama.cpp is found or built: at the first load of a model (`load`), or \
               already when the Python package is imported (`import`).",
        default: Fallback::Value("load"),
        variables: &[Source::value("LLAMATELEMETRY_BOOTSTRAP")],
        field: field!(runtime.bootstrap),
        ..PLAIN
    },
    Setting {
        key: "models.hub_token",
        what: "Token for the model hub.",
        default: Fallback::Found(
            "the file that the hub's own tools write: `HF_TOKEN_PATH`, else `token` in the hub's \
             folder; not used with `HF_HUB_DISABLE_IMPLICIT_TOKEN`",
        ),
        lookup: Some(hub::token),
        variables: &[
            Source::value("HF_TOKEN"),
            Source::value("HUGGING_FACE_HUB_TOKEN"),
        ],
        secret: true,
        field: field!(models.hub_token),
        ..PLAIN
    },
    Setting {
        key: "models.hub_cache",
        what: "Cache of hub files, shared with llama.cpp and the hub's own tools.",
        default: Fallback::Found("`huggingface/hub` in `XDG_CACHE_HOME`, else in `~/.cache`"),
        lookup: Some(hub::cache),
        variables: &[
            Source::value("LLAMA_CACHE"),
            Source::value("HF_HUB_CACHE"),
            Source::value("HUGGINGFACE_HUB_CACHE"),
            Source::below("HF_HOME", "hub"),
        ],
        field: field!(models.hub_cache),
        ..PLAIN
    },
    Setting {
        key: "models.folders",
        what: "Further folders in which GGUF files are looked for by name.",
        default: Fallback::Value(""),
        variables: &[Source::value("LLAMATELEMETRY_MODELS")],
        field: field!(models.folders),
        ..PLAIN
    },
    Setting {
        key: "server.context",
        what: "Context length in tokens, of all slots together; 0 takes the model's own.",
        default: Fallback::Unset(SERVER_DECIDES),
        variables: &[Source::value("LLAMATELEMETRY_CONTEXT")],
        flag: Some(Flag::value("context", "TOKENS", FlagGroup::Server)),
        field: field!(server.context),
        ..PLAIN
    },
    Setting {
        key: "server.parallel",
        what: "Slots: requests answered at the same time.",
        default: Fallback::Unset(SERVER_DECIDES),
        variables: &[Source::value("LLAMATELEMETRY_PARALLEL")],
        flag: Some(Flag::value("parallel", "N", FlagGroup::Server)),
        field: field!(server.parallel, AT_LEAST_ONE, |n| *n != Some(0)),
        ..PLAIN
    },
    Setting {
        key: "server.threads",
        what: "Threads that compute.",
        default: Fallback::Unset(SERVER_DECIDES),
        variables: &[Source::value("LLAMATELEMETRY_THREADS")],
        flag: Some(Flag::value("threads", "N", FlagGroup::Server)),
        field: field!(server.threads, AT_LEAST_ONE, |n| *n != Some(0)),
        ..PLAIN
    },
    Setting {
        key: "server.gpu_layers",
        what: "Layers kept on GPUs.",
        default: Fallback::Unset(SERVER_DECIDES),
        variables: &[Source::value("LLAMATELEMETRY_GPU_LAYERS")],
        flag: Some(Flag::value("gpu-layers", "N|all", FlagGroup::Server)),
        field: field!(server.gpu_layers),
        ..PLAIN
    },
    Setting {
        key: "server.devices",
        what: "Devices to use, by llama.cpp's names (`CUDA0`).",
        default: Fallback::Value(""),
        variables: &[Source::value("LLAMATELEMETRY_DEVICES")],
        flag: Some(Flag::value("device", "NAME", FlagGroup::Server)),
        field: field!(server.devices),
        ..PLAIN
    },
    Setting {
        key: "server.extra_args",
        what: "Further arguments for llama-server, last on its command line.",
        default: Fallback::Value(""),
        flag: Some(Flag::value("server-arg", "ARG", FlagGroup::Server)),
        field: field!(server.extra_args),
        ..PLAIN
    },
    Setting {
        key: "server.start_timeout",
        what: "How long a start may take without a sign of life from llama-server.",
        default: Fallback::Unset("chosen by the size of the model"),
        variables: &[Source::value("LLAMATELEMETRY_START_TIMEOUT")],
        field: field!(server.start_timeout),
        ..PLAIN
    },
    Setting {
        key: "server.port",
        what: "Loopback TCP port to listen on instead of a Unix socket; 0 lets the system choose.",
        default: Fallback::Unset("a Unix socket"),
        variables: &[Source::value("LLAMATELEMETRY_PORT")],
        flag: Some(Flag::value("server-port", "PORT", FlagGroup::Server)),
        field: field!(server.port),
        ..PLAIN
    },
    Setting {
        key: "serve.host",
        what: "IP address that `llt serve` listens on.",
        default: Fallback::Value("127.0.0.1"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_HOST")],
        flag: Some(Flag::value("host", "IP|unix:PATH", FlagGroup::Serve)),
        field: field!(serve.host),
        ..PLAIN
    },
    Setting {
        key: "serve.port",
        what: "Port that `llt serve` listens on; 0 lets the system choose.",
        default: Fallback::Value("8080"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_PORT")],
        flag: Some(Flag::value("port", "PORT", FlagGroup::Serve)),
        field: field!(serve.port),
        ..PLAIN
    },
    Setting {
        key: "serve.otlp_grpc",
        what: "Port on which `llt serve` takes OTLP over gRPC; 0 lets the system choose.",
        default: Fallback::Value("4317"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_OTLP_GRPC")],
        flag: Some(Flag::value("otlp-grpc", "PORT", FlagGroup::Serve)),
        field: field!(serve.otlp_grpc),
        ..PLAIN
    },
    Setting {
        key: "serve.otlp_http",
        what: "Port on which `llt serve` takes OTLP over HTTP; 0 lets the system choose.",
        default: Fallback::Value("4318"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_OTLP_HTTP")],
        flag: Some(Flag::value("otlp-http", "PORT", FlagGroup::Serve)),
        field: field!(serve.otlp_http),
        ..PLAIN
    },
    Setting {
        key: "serve.otlp_body_limit",
        what: "Bytes, unpacked, that one OTLP request to `llt serve` may have.",
        default: Fallback::Value("64MiB"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_OTLP_BODY_LIMIT")],
        field: field!(serve.otlp_body_limit, OTLP_BODY, |size| (1 << 10
            ..=64 << 20)
            .contains(&size.0)),
        ..PLAIN
    },
    Setting {
        key: "serve.socket",
        what: "Unix socket that `llt serve` listens on instead of TCP; only its owner can connect. \
               `--host unix:PATH` sets it too.",
        default: Fallback::Unset("TCP"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_SOCKET")],
        flag: Some(Flag::value("socket", "PATH", FlagGroup::Serve)),
        field: field!(serve.socket),
        ..PLAIN
    },
    Setting {
        key: "serve.upstream",
        what: "Address (`http://HOST:PORT`) of a server that `llt serve` did not start, asked for \
               every model that is not served here.",
        default: Fallback::Unset("none"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_UPSTREAM")],
        flag: Some(Flag::value("upstream", "URL", FlagGroup::Serve)),
        field: field!(serve.upstream),
        ..PLAIN
    },
    Setting {
        key: "serve.api_key_file",
        what: "File with API keys, one a line, that are taken beside those of `llt keys`.",
        default: Fallback::Unset("the keys of `llt keys` alone"),
        variables: &[Source::value("LLAMATELEMETRY_API_KEY_FILE")],
        flag: Some(Flag::value("api-key-file", "FILE", FlagGroup::Serve)),
        field: field!(serve.api_key_file),
        ..PLAIN
    },
    Setting {
        key: "serve.hosts",
        what: "Names under which clients may reach `llt serve`, beside those of this machine: what \
               their `Host` header says.",
        default: Fallback::Value(""),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_HOSTS")],
        field: field!(serve.hosts),
        ..PLAIN
    },
    Setting {
        key: "serve.cors_origins",
        what: "Web pages that may call `llt serve` from a browser, by their origin \
               (`https://app.example`); `*` lets every page.",
        default: Fallback::Value(""),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_CORS_ORIGINS")],
        field: field!(serve.cors_origins),
        ..PLAIN
    },
    Setting {
        key: "serve.tls_certificate",
        what: "Certificate chain (PEM) of `llt serve`; with it clients are spoken to in TLS.",
        default: Fallback::Unset("plain HTTP"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_TLS_CERTIFICATE")],
        flag: Some(Flag::value("tls-certificate", "FILE", FlagGroup::Serve)),
        field: field!(serve.tls_certificate),
        ..PLAIN
    },
    Setting {
        key: "serve.tls_key",
        what: "Private key (PEM) of that certificate.",
        default: Fallback::Unset("plain HTTP"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_TLS_KEY")],
        flag: Some(Flag::value("tls-key", "FILE", FlagGroup::Serve)),
        field: field!(serve.tls_key),
        ..PLAIN
    },
    Setting {
        key: "serve.connections",
        what: "Connections of clients at a time; more are turned away with 503.",
        default: Fallback::Value("4096"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_CONNECTIONS")],
        field: field!(serve.connections, AT_LEAST_ONE, |n| *n != 0),
        ..PLAIN
    },
    Setting {
        key: "serve.queue",
        what: "Requests that may wait for a free slot, of all models and clients together; more \
               are turned away with 503.",
        default: Fallback::Value("512"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_QUEUE")],
        field: field!(serve.queue),
        ..PLAIN
    },
    Setting {
        key: "serve.deadline",
        what: "How long a request may wait, in the queue and for its model, until llama-server \
               works on it. A client may ask for less with `X-Request-Timeout`.",
        default: Fallback::Value("600s"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_DEADLINE")],
        field: field!(serve.deadline),
        ..PLAIN
    },
    Setting {
        key: "serve.patience",
        what: "How long a client may take for a request's head, between two pieces of its body, \
               and to take a piece of the answer.",
        default: Fallback::Value("30s"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_PATIENCE")],
        field: field!(serve.patience, "a duration above 0", |time| !time.is_zero()),
        ..PLAIN
    },
    Setting {
        key: "serve.body_limit",
        what: "Bytes that a request's body may have.",
        default: Fallback::Value("64MiB"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_BODY_LIMIT")],
        field: field!(serve.body_limit),
        ..PLAIN
    },
    Setting {
        key: "serve.body_memory",
        what: "Bytes that the bodies of all requests may take together; what would exceed them is \
               turned away with 503.",
        default: Fallback::Value("512MiB"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_BODY_MEMORY")],
        field: field!(serve.body_memory),
        ..PLAIN
    },
    Setting {
        key: "serve.drain",
        what: "How long requests in flight may take to finish when `llt serve` is told to end.",
        default: Fallback::Value("30s"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_DRAIN")],
        field: field!(serve.drain),
        ..PLAIN
    },
    Setting {
        key: "serve.access_log",
        what: "Log a line for each request, as an event of `llamatelemetry_gateway::access`.",
        default: Fallback::Value("false"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_ACCESS_LOG")],
        flag: Some(Flag::switch("access-log", FlagGroup::Serve)),
        field: field!(serve.access_log),
        ..PLAIN
    },
    Setting {
        key: "serve.idle",
        what: "How long `llt serve` keeps a model loaded that nobody asks, or `always`.",
        default: Fallback::Value("300s"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_IDLE")],
        flag: Some(Flag::value("keep-alive", "TIME", FlagGroup::Serve)),
        field: field!(serve.idle),
        ..PLAIN
    },
    Setting {
        key: "serve.memory_budget",
        what: "Bytes that all loaded models together may take, on the machine and on GPUs, as \
               measured; the one that was asked longest ago is unloaded first.",
        default: Fallback::Unset("as many as there are"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_MEMORY_BUDGET")],
        flag: Some(Flag::value("memory-budget", "BYTES", FlagGroup::Serve)),
        field: field!(serve.memory_budget),
        ..PLAIN
    },
    Setting {
        key: "serve.wait_for_load",
        what: "How long a request waits for its model to load before it is told to come again \
               later.",
        default: Fallback::Unset("as long as the request may take"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_WAIT_FOR_LOAD")],
        field: field!(serve.wait_for_load),
        ..PLAIN
    },
    Setting {
        key: "serve.stall_limit",
        what: "A llama-server that has requests and makes no progress for so long is killed and \
               started again; while its processor time grows it has five times as long.",
        default: Fallback::Value("30s"),
        variables: &[Source::value("LLAMATELEMETRY_SERVE_STALL_LIMIT")],
        field: field!(
            serve.stall_limit,
            "a duration such as `30s`, at least `100ms`",
            |limit| { *limit >= Duration::from_millis(100) }
        ),
        ..PLAIN
    },
    Setting {
        key: "telemetry.console",
        what: "Print each request's span tree on the terminal.",
        default: Fallback::Value("false"),
        variables: &[Source::value("LLAMATELEMETRY_OTEL_CONSOLE")],
        flag: Some(Flag {
            long: "otel",
            value: Some("WHERE"),
            group: FlagGroup::Server,
            words: &[("console", "true")],
        }),
        field: field!(telemetry.console),
        ..PLAIN
    },
    Setting {
        key: "telemetry.capture_content",
        what: "Where prompts and answers are recorded: nowhere (`no_content`, `false`), on spans \
               (`span_only`, `true`), in events (`event_only`) or both (`span_and_event`).",
        default: Fallback::Value("no_content"),
        variables: &[Source::value(
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        )],
        field: field!(telemetry.capture_content),
        ..PLAIN
    },
    Setting {
        key: "telemetry.emit_event",
        what: "Whether each request leaves an event (a log record) beside its span.",
        default: Fallback::Unset("if prompts and answers are to go there"),
        variables: &[Source::value("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT")],
        field: field!(telemetry.emit_event),
        ..PLAIN
    },
    Setting {
        key: "telemetry.redact",
        what: "Kinds of secrets taken out of all that is recorded: `api_key`, `jwt`, \
               `private_key`, `email`, `card`, `iban`, or `all`.",
        default: Fallback::Value(""),
        variables: &[Source::value("LLAMATELEMETRY_REDACT")],
        field: field!(telemetry.redact, REDACT_CLASSES, are_redact_classes),
        ..PLAIN
    },
    Setting {
        key: "telemetry.redact_patterns",
        what: "Regular expressions of what else is taken out of all that is recorded.",
        default: Fallback::Value(""),
        field: field!(telemetry.redact_patterns),
        ..PLAIN
    },
    Setting {
        key: "telemetry.log_level",
        what: "The least grave lines that are exported as log records.",
        default: Fallback::Value("info"),
        variables: &[Source::value("LLAMATELEMETRY_EXPORT_LOG_LEVEL")],
        field: field!(telemetry.log_level),
        ..PLAIN
    },
    Setting {
        key: "telemetry.profile",
        what: "The version of the GenAI conventions whose names go out: `v1.36`, `v1.41` or \
               `latest`.",
        default: Fallback::Unset("the latest"),
        variables: &[Source::value("LLAMATELEMETRY_PROFILE")],
        field: field!(telemetry.profile),
        ..PLAIN
    },
    Setting {
        key: "telemetry.openinference",
        what: "Add OpenInference's names to each span.",
        default: Fallback::Value("false"),
        variables: &[Source::value("LLAMATELEMETRY_OPENINFERENCE")],
        field: field!(telemetry.openinference),
        ..PLAIN
    },
    Setting {
        key: "telemetry.prometheus",
        what: "Address on which Prometheus may scrape metrics, at `/metrics`.",
        default: Fallback::Unset("none, unless `OTEL_METRICS_EXPORTER` asks for `prometheus`"),
        variables: &[Source::value("LLAMATELEMETRY_PROMETHEUS")],
        field: field!(telemetry.prometheus),
        ..PLAIN
    },
    Setting {
        key: "telemetry.backend",
        what: "A known backend to send to: its address, headers and protocol come from its own \
               variables.",
        default: Fallback::Unset("only where the standard variables say"),
        variables: &[Source::value("LLAMATELEMETRY_OTEL_BACKEND")],
        field: field!(telemetry.backend),
        ..PLAIN
    },
    Setting {
        key: "telemetry.file",
        what: "File that every signal is appended to, as OTLP's JSON, an export a line.",
        default: Fallback::Unset("no file"),
        variables: &[Source::value("LLAMATELEMETRY_OTEL_FILE")],
        flag: Some(Flag::value("otel-file", "FILE", FlagGroup::Server)),
        field: field!(telemetry.file),
        ..PLAIN
    },
    Setting {
        key: "telemetry.spool_limit",
        what: "Bytes on disk that signals may take which could not be sent yet, all processes of \
               the home together; 0 keeps them in memory only.",
        default: Fallback::Value("64MiB"),
        variables: &[Source::value("LLAMATELEMETRY_OTEL_SPOOL_LIMIT")],
        field: field!(telemetry.spool_limit),
        ..PLAIN
    },
    Setting {
        key: "telemetry.store",
        what: "Keep traces, metrics and logs in the store of this home.",
        default: Fallback::Value("true"),
        variables: &[Source::value("LLAMATELEMETRY_STORE")],
        field: field!(telemetry.store),
        ..PLAIN
    },
    Setting {
        key: "telemetry.store_limit",
        what: "Bytes that the store may take; the oldest goes first.",
        default: Fallback::Value("4GiB"),
        variables: &[Source::value("LLAMATELEMETRY_STORE_LIMIT")],
        field: field!(telemetry.store_limit),
        ..PLAIN
    },
    Setting {
        key: "telemetry.store_age",
        what: "How long the store keeps what is in it.",
        default: Fallback::Value("30d"),
        variables: &[Source::value("LLAMATELEMETRY_STORE_AGE")],
        field: field!(telemetry.store_age),
        ..PLAIN
    },
];

const SERVER_DECIDES: &str = "llama-server decides";
const OTLP_BODY: &str = "a size from 1KiB to 64MiB";

const AT_LEAST_ONE: &str = "a whole number from 1";
const REDACT_CLASSES: &str =
    "a list of `api_key`, `jwt`, `private_key`, `email`, `card` and `iban`, or `all`";
const WEB_ADDRESS: &str = "an address that begins with `http://` or `https://`";

#[expect(clippy::ref_option, reason = "the check of an optional setting")]
fn is_web_address(address: &Option<String>) -> bool {
    address.as_ref().is_none_or(|address| {
        let host = address
            .strip_prefix("https://")
            .or_else(|| address.strip_prefix("http://"));
        host.is_some_and(|host| !host.is_empty() && !host.contains(char::is_whitespace))
    })
}

#[expect(clippy::ptr_arg, reason = "the check of a list setting")]
fn are_redact_classes(names: &Vec<String>) -> bool {
    const CLASSES: &[&str] = &[
        "api_key",
        "jwt",
        "private_key",
        "email",
        "card",
        "iban",
        "all",
    ];
    names.iter().all(|name| CLASSES.contains(&name.as_str()))
}

/// The keys of the config file's free table: the standard variables by their own names.
pub(crate) const OTEL_TABLE: &str = "telemetry.otel";

/// The setting of this key.
pub fn setting(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The keys, and tables of keys, that look like a mistyped one, nearest first.
pub fn nearest_settings(key: &str) -> Vec<&'static str> {
    let keys = || SETTINGS.iter().map(|setting| setting.key);
    if key.contains('.') {
        return crate::nearest(key, keys(), NEAREST);
    }
    // A name without a dot may be meant as a table's, or as the last part of a key.
    let tables = keys().filter_map(|key| Some(key.split_once('.')?.0));
    let lasts = || keys().filter_map(|key| Some((key.rsplit_once('.')?.1, key)));
    let parts = tables.chain(lasts().map(|(last, _)| last));
    crate::nearest(key, parts, NEAREST)
        .into_iter()
        .map(|part| {
            lasts()
                .find(|(last, _)| *last == part)
                .map_or(part, |(_, key)| key)
        })
        .collect()
}

/// How many keys are named at most.
const NEAREST: usize = 3;
