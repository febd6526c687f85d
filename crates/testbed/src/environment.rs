//! The environment that tests and the programs they start run in.

use llamatelemetry_settings::Environment;
use std::ffi::OsString;
use std::path::Path;
use std::sync::OnceLock;

/// Families of variables that would let the user's own settings into a test.
const FAMILIES: &[&str] = &[
    "GGML_",
    "HF_",
    "HUGGINGFACE_",
    "LLAMATELEMETRY_",
    "LLAMA_",
    "OLLAMA_",
    "OTEL_",
    "XDG_",
];

/// The environment of this process, read once.
pub(crate) fn process() -> &'static Environment {
    static PROCESS: OnceLock<Environment> = OnceLock::new();
    PROCESS.get_or_init(Environment::from_process)
}

/// The environment of this process without anything of the user's own (`HF_*`, `LLAMA_*`, caches,
/// the home folder), plus `LLAMATELEMETRY_HOME`, `HF_HOME` and the like, all below `root`.
/// What reaches the outside (`PATH`, proxies, certificates, pip's settings) stays.
pub fn environment(root: &Path, home: &Path) -> Environment {
    let kept = process().iter().filter(|(name, _)| {
        name.to_str()
            .is_none_or(|name| !FAMILIES.iter().any(|family| name.starts_with(family)))
    });
    let own = [
        ("HOME", root.join("user")),
        ("LLAMATELEMETRY_HOME", home.to_owned()),
        ("HF_HOME", root.join("huggingface")),
        ("OLLAMA_MODELS", root.join("ollama")),
        ("XDG_CACHE_HOME", root.join("user/.cache")),
        ("XDG_CONFIG_HOME", root.join("user/.config")),
        ("XDG_DATA_HOME", root.join("user/.local/share")),
        // Several compute threads wait for each other in a loop: on a machine whose processors
        // are busy with other tests they slow down a hundredfold. One thread only takes turns.
        ("LLAMATELEMETRY_THREADS", "1".into()),
    ];
    Environment::from_pairs(
        kept.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .chain(
                own.into_iter()
                    .map(|(name, path)| (OsString::from(name), path.into_os_string())),
            ),
    )
}
