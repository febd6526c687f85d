//! The one list of environment variables.

mod telemetry;

use crate::table::SETTINGS;
use crate::{Environment, nearest};
use std::fmt;
use std::sync::LazyLock;

/// One environment variable that the project reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What it sets, in one sentence.
    pub what: &'static str,
    /// The setting that it sets, if it is one.
    pub key: Option<&'static str>,
    /// Whose variable it is.
    pub family: Family,
}

/// Whose variable it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// `LLAMATELEMETRY_*`.
    Ours,
    /// llama.cpp's own.
    Llama,
    /// The model hub's.
    Hub,
    /// OpenTelemetry's.
    OpenTelemetry,
    /// Those of the backends that telemetry can be sent to.
    Backends,
    /// Proxies and certificates.
    Network,
    /// Compilers and other programs.
    Programs,
    /// The terminal, the desktop and the system.
    System,
}

/// Every variable that is read: those of settings first, from their table, then the others.
pub static VARIABLES: LazyLock<Vec<Variable>> = LazyLock::new(|| {
    let mut all: Vec<Variable> = SETTINGS
        .iter()
        .flat_map(|setting| {
            setting.variables.iter().map(|source| Variable {
                name: source.variable,
                what: setting.what,
                key: Some(setting.key),
                family: family_of(source.variable),
            })
        })
        .collect();
    for (family, names) in OTHERS.iter().chain(telemetry::FAMILIES) {
        all.extend(names.iter().map(|(name, what)| Variable {
            name,
            what,
            key: None,
            family: *family,
        }));
    }
    all.sort_by_key(|variable| (variable.family, variable.name));
    // A variable of a setting that other rows name too stands once, with its setting.
    all.dedup_by(|later, first| {
        let same = later.name == first.name;
        if same && first.key.is_none() {
            *first = *later;
        }
        same
    });
    all
});

fn family_of(name: &str) -> Family {
    if name.starts_with("LLAMATELEMETRY_") {
        Family::Ours
    } else if name.starts_with("OTEL_") {
        Family::OpenTelemetry
    } else if name.starts_with("HF_") || name.starts_with("HUGGING") {
        Family::Hub
    } else {
        Family::Llama
    }
}

/// Variables that set no setting by themselves.
const OTHERS: &[(Family, &[(&str, &str)])] = &[
    (
        Family::Ours,
        &[
            (
                "LLAMATELEMETRY_CONFIG",
                "Config file to read instead of `config.toml` in the home.",
            ),
            (
                "LLAMATELEMETRY_LOG",
                "What is logged, as a filter: `debug`, `llamatelemetry_fetch=trace`.",
            ),
            (
                "LLAMATELEMETRY_TEST_HOME",
                "Folder in which the project's own tests keep what is dear to make.",
            ),
        ],
    ),
    (
        Family::Hub,
        &[
            (
                "HF_HOME",
                "The hub's folder; the cache is `hub` in it, the token `token`.",
            ),
            ("HF_TOKEN_PATH", "File that holds the hub's token."),
            (
                "HF_HUB_DISABLE_IMPLICIT_TOKEN",
                "With `1`, the token file is not used.",
            ),
        ],
    ),
    (
        Family::Network,
        &[
            (
                "HTTPS_PROXY",
                "Proxy for `https` addresses; also in small letters.",
            ),
            (
                "HTTP_PROXY",
                "Proxy for `http` addresses; in small letters only where a web server could set it.",
            ),
            (
                "ALL_PROXY",
                "Proxy for all addresses; also in small letters.",
            ),
            (
                "NO_PROXY",
                "Hosts that are reached directly; also in small letters.",
            ),
            ("https_proxy", "As `HTTPS_PROXY`."),
            ("http_proxy", "As `HTTP_PROXY`."),
            ("all_proxy", "As `ALL_PROXY`."),
            ("no_proxy", "As `NO_PROXY`."),
            (
                "SSL_CERT_FILE",
                "Certificates to trust beside the system's.",
            ),
            (
                "SSL_CERT_DIR",
                "Folder of certificates to trust beside the system's.",
            ),
            ("REQUESTS_CA_BUNDLE", "As `SSL_CERT_FILE`."),
            ("CURL_CA_BUNDLE", "As `SSL_CERT_FILE`."),
            (
                "REQUEST_METHOD",
                "Set by web servers for the programs they run: then `HTTP_PROXY` is not used.",
            ),
        ],
    ),
    (
        Family::Programs,
        &[
            ("PATH", "Where programs are looked for."),
            (
                "PIP_TIMEOUT",
                "Seconds that pip waits for the package registry; 15 if not set. Other `PIP_*` reach pip too.",
            ),
            ("PIP_DEFAULT_TIMEOUT", "As `PIP_TIMEOUT`."),
            ("CC", "C compiler for builds."),
            ("CXX", "C++ compiler for builds."),
            ("CUDACXX", "CUDA compiler for builds."),
            ("CUDA_HOME", "CUDA toolkit; `bin/nvcc` in it is looked for."),
            ("CUDA_PATH", "As `CUDA_HOME`."),
            (
                "CUDA_VISIBLE_DEVICES",
                "GPUs that are used; handed to llama-server.",
            ),
            (
                "LD_LIBRARY_PATH",
                "Kept for llama-server, after the runtime's own folders.",
            ),
            (
                "OLLAMA_MODELS",
                "Folder of Ollama's models, which are reused.",
            ),
        ],
    ),
    (
        Family::System,
        &[
            ("HOME", "The user's folder."),
            ("XDG_DATA_HOME", "Folder in which the home lies by default."),
            (
                "XDG_CACHE_HOME",
                "Folder in which the hub's cache lies by default.",
            ),
            (
                "XDG_RUNTIME_DIR",
                "Folder of the servers' and the sampler's sockets; without it `/tmp/llamatelemetry-UID`.",
            ),
            ("TMPDIR", "Folder of temporary files."),
            (
                "NOTIFY_SOCKET",
                "Socket of systemd, which `llt serve` tells when it is ready.",
            ),
            (
                "WATCHDOG_USEC",
                "How often systemd wants a sign of life of `llt serve`.",
            ),
            (
                "WATCHDOG_PID",
                "The process that `WATCHDOG_USEC` is meant for.",
            ),
            (
                "KAGGLE_KERNEL_RUN_TYPE",
                "Set in Kaggle's notebooks: `llamatelemetry.platform` says so.",
            ),
            ("KAGGLE_URL_BASE", "As `KAGGLE_KERNEL_RUN_TYPE`."),
            (
                "COLAB_RELEASE_TAG",
                "Set in Colab's notebooks: `llamatelemetry.platform` says so.",
            ),
            ("COLAB_GPU", "As `COLAB_RELEASE_TAG`."),
            ("COLAB_BACKEND_VERSION", "As `COLAB_RELEASE_TAG`."),
            ("NO_COLOR", "Set to anything: no colour on the terminal."),
            (
                "CLICOLOR_FORCE",
                "Set to anything but `0`: colour even where there is no terminal.",
            ),
            ("TERM", "With `dumb`, neither colour nor bars."),
            (
                "COLUMNS",
                "Width of tables where there is no terminal to ask.",
            ),
        ],
    ),
];

/// The variable of this name.
pub fn variable(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}

/// The names of OpenTelemetry's variables.
pub(crate) fn otel_names() -> impl Iterator<Item = &'static str> {
    VARIABLES
        .iter()
        .filter(|variable| variable.family == Family::OpenTelemetry)
        .map(|variable| variable.name)
}

/// Whether this is one of OpenTelemetry's variables that mean something here.
pub(crate) fn is_otel(name: &str) -> bool {
    otel_names().any(|known| known == name)
}

/// What one of OpenTelemetry's variables does.
pub(crate) fn what_otel(name: &str) -> &'static str {
    variable(name).map_or("A standard variable that means nothing here.", |known| {
        known.what
    })
}

/// One variable in the environment that looks like ours and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misspelt {
    /// Its name.
    pub name: String,
    /// Our variables that look like it, nearest first.
    pub nearest: Vec<&'static str>,
}

impl fmt::Display for Misspelt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the environment variable {} means nothing", self.name)?;
        match self.nearest.first() {
            Some(nearest) => write!(f, "; did you mean {nearest}?"),
            None => Ok(()),
        }
    }
}

/// What our own variables begin with.
const OURS: &str = "LLAMATELEMETRY_";

/// The variables of the environment that begin like ours and mean nothing.
pub fn misspelt(environment: &Environment) -> Vec<Misspelt> {
    let ours: Vec<&'static str> = VARIABLES
        .iter()
        .filter(|variable| variable.family == Family::Ours)
        .map(|variable| variable.name)
        .collect();
    let mut found = Vec::new();
    for (name, _) in environment.iter() {
        let Some((name, rest)) = name
            .to_str()
            .and_then(|name| Some((name, name.strip_prefix(OURS)?)))
        else {
            continue;
        };
        if ours.contains(&name) {
            continue;
        }
        // The common beginning would make any two of them look alike.
        let near = nearest(
            rest,
            ours.iter().filter_map(|name| name.strip_prefix(OURS)),
            3,
        );
        let whole = |rest: &&str| {
            ours.iter()
                .copied()
                .find(|name| name.strip_prefix(OURS) == Some(*rest))
        };
        found.push(Misspelt {
            name: name.to_owned(),
            nearest: near.iter().filter_map(whole).collect(),
        });
    }
    found
}
