//! The environment of a server: a list made here, not the caller's.
//!
//! llama-server takes flags from some two hundred variables (`LLAMA_ARG_*`, `GGML_*`), and its
//! tools would pass tokens on. So only what is named here reaches it.

use crate::protocol::CHILD_MODE;
use llamatelemetry_settings::Environment;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Variables that are passed on as they are: where programs and files are, language, which
/// devices may be used, and how their drivers behave.
pub const PASSED_ON: &[&str] = &[
    "CUDA_CACHE_DISABLE",
    "CUDA_CACHE_MAXSIZE",
    "CUDA_CACHE_PATH",
    "CUDA_DEVICE_MAX_CONNECTIONS",
    "CUDA_DEVICE_ORDER",
    "CUDA_MODULE_LOADING",
    "CUDA_MPS_LOG_DIRECTORY",
    "CUDA_MPS_PIPE_DIRECTORY",
    "CUDA_VISIBLE_DEVICES",
    "GOMP_CPU_AFFINITY",
    "GPU_DEVICE_ORDINAL",
    "HIP_VISIBLE_DEVICES",
    "HOME",
    "HSA_OVERRIDE_GFX_VERSION",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "NVIDIA_DRIVER_CAPABILITIES",
    "NVIDIA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "OMP_PLACES",
    "OMP_PROC_BIND",
    "OMP_WAIT_POLICY",
    "ONEAPI_DEVICE_SELECTOR",
    "PATH",
    "ROCR_VISIBLE_DEVICES",
    "TMPDIR",
    "TZ",
    "VK_DRIVER_FILES",
    "VK_ICD_FILENAMES",
    "ZE_AFFINITY_MASK",
];

/// The loader's search path, which gets the runtime's folders before the caller's.
const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

/// What a child's environment is made from.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    /// The caller's environment.
    pub(crate) base: &'a Environment,
    /// Folders of the runtime's own libraries.
    pub(crate) library_dirs: &'a [PathBuf],
    /// Further variables that the caller of this crate sets on purpose.
    pub(crate) extra: &'a [(OsString, OsString)],
    /// The folder that stands in for the user's configuration.
    pub(crate) empty_folder: &'a Path,
}

/// The whole environment of a program of the runtime, ordered by name.
pub(crate) fn build(sources: &Sources<'_>) -> Vec<(OsString, OsString)> {
    let mut variables: BTreeMap<OsString, OsString> = PASSED_ON
        .iter()
        .filter_map(|name| Some((OsString::from(name), sources.base.get_os(name)?.to_owned())))
        .collect();
    if let Some(path) = library_path(sources.library_dirs, sources.base.get_os(LIBRARY_PATH)) {
        variables.insert(LIBRARY_PATH.into(), path);
    }
    variables.extend(sources.extra.iter().cloned());
    variables.insert("XDG_CONFIG_HOME".into(), sources.empty_folder.into());
    variables.into_iter().collect()
}

/// The same for a server that reports its state and ends when its input does.
pub(crate) fn build_for_child_mode(sources: &Sources<'_>) -> Vec<(OsString, OsString)> {
    let mut variables = build(sources);
    // The number would be the port of a router to report to; nothing is sent there.
    variables.push((CHILD_MODE.into(), "0".into()));
    variables
}

fn library_path(ours: &[PathBuf], theirs: Option<&OsStr>) -> Option<OsString> {
    let mut path = OsString::new();
    let folders = ours.iter().map(|folder| folder.as_os_str()).chain(theirs);
    for folder in folders.filter(|folder| !folder.is_empty()) {
        if !path.is_empty() {
            path.push(":");
        }
        path.push(folder);
    }
    (!path.is_empty()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(base: &Environment, library_dirs: &[PathBuf]) -> Vec<(String, String)> {
        build_for_child_mode(&Sources {
            base,
            library_dirs,
            extra: &[("GGML_CUDA_NO_PINNED".into(), "1".into())],
            empty_folder: Path::new("/e"),
        })
        .into_iter()
        .map(|(name, value)| (name.into_string().unwrap(), value.into_string().unwrap()))
        .collect()
    }

    #[test]
    fn only_the_list_reaches_the_child() {
        let base = Environment::from_pairs([
            ("PATH", "/bin"),
            ("HF_TOKEN", "hf_x"),
            ("LLAMA_ARG_PORT", "1"),
            ("GGML_CUDA_FORCE_MMQ", "1"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=x"),
            ("XDG_CONFIG_HOME", "/home/user/.config"),
            ("CUDA_VISIBLE_DEVICES", "1"),
            ("LD_LIBRARY_PATH", "/theirs"),
        ]);
        let pairs = [
            ("CUDA_VISIBLE_DEVICES", "1"),
            ("GGML_CUDA_NO_PINNED", "1"),
            ("LD_LIBRARY_PATH", "/ours:/theirs"),
            ("PATH", "/bin"),
            ("XDG_CONFIG_HOME", "/e"),
            ("LLAMA_SERVER_ROUTER_PORT", "0"),
        ];
        let expected: Vec<_> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(names(&base, &["/ours".into()]), expected);
    }

    #[test]
    fn without_folders_there_is_no_search_path() {
        let base = Environment::default();
        assert!(
            names(&base, &[])
                .iter()
                .all(|(name, _)| name != LIBRARY_PATH)
        );
    }

    #[test]
    fn the_list_is_sorted_and_names_no_secret() {
        assert!(PASSED_ON.is_sorted());
        for name in PASSED_ON {
            for word in [
                "TOKEN", "KEY", "SECRET", "PASSWORD", "LLAMA_", "GGML_", "OTEL_",
            ] {
                assert!(!name.contains(word), "{name}");
            }
        }
    }
}
