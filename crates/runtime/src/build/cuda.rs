//! NVIDIA's compiler, and what there is to build for.

use crate::RuntimeError;
use crate::child::{self, is_program, on_path};
use llamatelemetry_machine::Machine;
use llamatelemetry_settings::Environment;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where toolkits are installed when they are not on `PATH`.
const FOLDERS: &[&str] = &["/usr/local/cuda/bin", "/opt/cuda/bin", "/usr/lib/cuda/bin"];

/// What a CUDA build needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CudaToolkit {
    pub(crate) nvcc: PathBuf,
    /// `13.0`, if it says so.
    pub(crate) version: Option<String>,
    /// Folders with the runtime libraries that a built program needs.
    pub(crate) library_dirs: Vec<PathBuf>,
    /// Compute capabilities of the GPUs present.
    pub(crate) capabilities: BTreeSet<(u32, u32)>,
}

/// NVIDIA's compiler: on `PATH`, in the toolkit that `CUDA_HOME` or `CUDA_PATH` names, or where
/// toolkits are usually installed. The error holds the folders looked in.
pub(crate) fn find_nvcc(environment: &Environment) -> Result<PathBuf, Vec<String>> {
    if let Some(found) = on_path(environment, "nvcc").next() {
        return Ok(found);
    }
    let mut folders: Vec<PathBuf> = ["CUDA_HOME", "CUDA_PATH"]
        .iter()
        .filter_map(|name| environment.get_os(name))
        .map(|root| Path::new(root).join("bin"))
        .collect();
    folders.extend(FOLDERS.iter().map(PathBuf::from));
    folders
        .iter()
        .map(|folder| folder.join("nvcc"))
        .find(|path| is_program(path))
        .ok_or_else(|| {
            std::iter::once("PATH".to_owned())
                .chain(folders.iter().map(|folder| folder.display().to_string()))
                .collect()
        })
}

/// Finds the toolkit and the devices to build for.
pub(crate) fn find(
    environment: &Environment,
    machine: &Machine,
) -> Result<CudaToolkit, RuntimeError> {
    let capabilities: BTreeSet<(u32, u32)> = machine
        .gpus()
        .iter()
        .filter_map(|gpu| gpu.compute_capability)
        .collect();
    if capabilities.is_empty() {
        return Err(RuntimeError::GpuMissing {
            reason: match &machine.gpus {
                Err(missing) => missing.reason.clone(),
                Ok(_) => "no GPU tells its compute capability".to_owned(),
            },
        });
    }
    let nvcc = find_nvcc(environment)
        .map_err(|looked_in| RuntimeError::CudaCompilerMissing { looked_in })?;
    let version = child::run(
        &nvcc,
        &["--version"],
        &super::environment(environment),
        Duration::from_secs(60),
    )?;
    Ok(CudaToolkit {
        library_dirs: library_dirs(&nvcc),
        version: parse_release(&version.text()),
        nvcc,
        capabilities,
    })
}

/// `Cuda compilation tools, release 13.0, V13.0.88` → `13.0`
fn parse_release(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("release ")?;
    let version = rest.split([',', '\n', ' ']).next()?;
    Some(version.to_owned()).filter(|version| !version.is_empty())
}

/// The toolkit's own library folders.
fn library_dirs(nvcc: &Path) -> Vec<PathBuf> {
    let real = std::fs::canonicalize(nvcc).unwrap_or_else(|_| nvcc.to_path_buf());
    let Some(root) = real.parent().and_then(Path::parent) else {
        return Vec::new();
    };
    let found = ["lib64", "lib"]
        .iter()
        .map(|name| root.join(name))
        .find(|folder| {
            std::fs::read_dir(folder).is_ok_and(|entries| {
                entries.flatten().any(|entry| {
                    entry
                        .file_name()
                        .to_str()
                        .is_some_and(|name| name.starts_with("libcudart.so"))
                })
            })
        });
    found.into_iter().collect()
}

/// Whether a file is a shared library by its name.
pub(crate) fn library_file(name: &std::ffi::OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| name.contains(".so") || name.contains(".dylib"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toolkits_version_is_read() {
        let text = "nvcc: NVIDIA (R) Cuda compiler driver\n\
            Cuda compilation tools, release 13.0, V13.0.88\n";
        assert_eq!(parse_release(text).as_deref(), Some("13.0"));
        assert_eq!(parse_release("no such thing"), None);
    }

    #[test]
    fn a_toolkit_outside_path_is_found_with_its_libraries() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(root.path()).unwrap();
        std::fs::create_dir_all(root.join("bin")).unwrap();
        std::fs::create_dir_all(root.join("lib64")).unwrap();
        std::fs::write(root.join("lib64/libcudart.so.13"), "").unwrap();
        let nvcc = root.join("bin/nvcc");
        std::fs::write(&nvcc, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&nvcc, std::fs::Permissions::from_mode(0o755)).unwrap();
        let environment =
            Environment::from_pairs([("PATH", "/nowhere"), ("CUDA_HOME", root.to_str().unwrap())]);
        assert_eq!(find_nvcc(&environment), Ok(nvcc.clone()));
        assert_eq!(library_dirs(&nvcc), [root.join("lib64")]);
    }
}
