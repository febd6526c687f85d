//! Taking a server that somebody else runs.

use crate::{ServerError, probe};
use llamatelemetry_api::{Address, Props};
use llamatelemetry_settings::Secret;
use std::path::{Path, PathBuf};

/// What the server must be. `None` accepts anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The model file it must serve.
    pub model: Option<PathBuf>,
    /// The build it must be, as `build_info` of `/props` has it.
    pub build: Option<String>,
}

/// A server that somebody else runs and that is what was expected.
#[derive(Debug, Clone)]
pub struct Attached {
    /// Where it listens.
    pub address: Address,
    /// The key it asks for.
    pub key: Option<Secret>,
    /// What it says of itself.
    pub props: Props,
}

/// Takes a running server after comparing its model and its build with what is expected.
pub fn attach(
    address: Address,
    key: Option<Secret>,
    expected: &Expected,
) -> Result<Attached, ServerError> {
    let props =
        probe::props(&address, key.as_ref()).map_err(|source| ServerError::Unreachable {
            address: address.clone(),
            source: Box::new(source),
        })?;
    if let Some(model) = &expected.model
        && !same_file(model, Path::new(&props.model_path))
    {
        return Err(ServerError::WrongModel {
            address,
            expected: model.display().to_string(),
            found: props.model_path,
        });
    }
    if let Some(build) = &expected.build
        && *build != props.build_info
    {
        return Err(ServerError::WrongBuild {
            address,
            expected: build.clone(),
            found: props.build_info,
        });
    }
    Ok(Attached {
        address,
        key,
        props,
    })
}

/// Two names of one file are the same model.
fn same_file(left: &Path, right: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    if left == right {
        return true;
    }
    match (left.metadata(), right.metadata()) {
        (Ok(left), Ok(right)) => (left.dev(), left.ino()) == (right.dev(), right.ino()),
        _ => false,
    }
}
