//! The flags of a build.

use crate::Backend;
use std::collections::BTreeSet;

/// Flags that hold for every build: one program without libraries of its own, without the web page,
/// without network code of its own, and with the means to compute on other machines.
const COMMON: &[&str] = &[
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_CURL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DGGML_RPC=ON",
];

/// The flags for a back end. `capabilities` are those of the GPUs to build for; `number` and
/// `commit` are what the build will call itself.
pub(crate) fn flags(
    backend: Backend,
    capabilities: &BTreeSet<(u32, u32)>,
    number: Option<u32>,
    commit: Option<&str>,
) -> Vec<String> {
    let mut flags: Vec<String> = COMMON.iter().map(|flag| (*flag).to_owned()).collect();
    if let Some(number) = number {
        flags.push(format!("-DLLAMA_BUILD_NUMBER={number}"));
    }
    if let Some(commit) = commit {
        flags.push(format!("-DLLAMA_BUILD_COMMIT={commit}"));
    }
    match backend {
        Backend::Cuda => {
            // Machine code for the devices present only: no translation at the first start, and a
            // build that takes minutes instead of an hour.
            let targets: Vec<String> = capabilities
                .iter()
                .map(|(major, minor)| format!("{major}{minor}-real"))
                .collect();
            flags.push("-DGGML_CUDA=ON".to_owned());
            flags.push(format!("-DCMAKE_CUDA_ARCHITECTURES={}", targets.join(";")));
        }
        Backend::Metal => flags.push("-DGGML_METAL=ON".to_owned()),
        // Elsewhere these are off unless asked for.
        _ if cfg!(target_os = "macos") => {
            flags.push("-DGGML_METAL=OFF".to_owned());
            flags.push("-DGGML_BLAS=OFF".to_owned());
        }
        _ => {}
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_for_the_processor() {
        let flags = flags(Backend::Cpu, &BTreeSet::new(), Some(11434), Some("sdist"));
        assert!(flags.contains(&"-DGGML_RPC=ON".to_owned()));
        assert!(flags.contains(&"-DLLAMA_BUILD_NUMBER=11434".to_owned()));
        assert!(flags.contains(&"-DLLAMA_BUILD_COMMIT=sdist".to_owned()));
        assert!(!flags.iter().any(|flag| flag.contains("CUDA")));
    }

    #[test]
    fn a_build_for_the_gpus_present() {
        let present = BTreeSet::from([(9, 0), (7, 5)]);
        let flags = flags(Backend::Cuda, &present, None, None);
        assert!(flags.contains(&"-DGGML_CUDA=ON".to_owned()));
        assert!(flags.contains(&"-DCMAKE_CUDA_ARCHITECTURES=75-real;90-real".to_owned()));
        assert!(!flags.iter().any(|flag| flag.contains("NUMBER")));
    }
}
