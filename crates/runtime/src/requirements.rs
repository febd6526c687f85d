//! What a build from source needs, and whether this machine has it.

use crate::RuntimeError;
use crate::build::{compiler, cuda, tools};
use crate::sources::Sources;
use llamatelemetry_settings::Settings;

/// One thing that a build from source needs.
#[derive(Debug)]
pub struct Requirement {
    /// What it is called: "C++ compiler", "cmake".
    pub name: String,
    /// What was found, in words, or why it will not do.
    pub found: Result<String, Lack>,
}

/// Why a requirement is not met.
#[derive(Debug)]
pub enum Lack {
    /// It is fetched from the package registry when it is needed.
    Fetched {
        /// The oldest version that does.
        at_least: String,
    },
    /// The machine must get it.
    Missing(RuntimeError),
    /// It is needed for GPUs only.
    Optional(RuntimeError),
}

/// Looks for the compilers and tools of a build. Compiles one small program; fetches nothing.
pub fn requirements(settings: &Settings) -> Result<Vec<Requirement>, RuntimeError> {
    let sources = Sources::built_in()?;
    let compiler = match compiler::find(settings) {
        Ok(compilers) => Ok(compilers.version),
        Err(error) => Err(Lack::Missing(error)),
    };
    let mut all = vec![Requirement {
        name: "C++ compiler".to_owned(),
        found: compiler,
    }];
    for tool in &sources.tools {
        let path = tools::find(tool, settings);
        all.push(Requirement {
            name: tool.program.clone(),
            found: path
                .map(|path| path.display().to_string())
                .ok_or_else(|| Lack::Fetched {
                    at_least: format!("{}.{}", tool.at_least.0, tool.at_least.1),
                }),
        });
    }
    let nvcc = cuda::find_nvcc(&settings.environment);
    all.push(Requirement {
        name: "CUDA compiler".to_owned(),
        found: nvcc
            .map(|path| path.display().to_string())
            .map_err(|looked_in| Lack::Optional(RuntimeError::CudaCompilerMissing { looked_in })),
    });
    Ok(all)
}
