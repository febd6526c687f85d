//! cmake and ninja: from `PATH`, else from the registry's wheels into the home's tools.

use crate::child::{self, is_program, on_path};
use crate::sources::{BuildTool, Sources};
use crate::{RuntimeError, files};
use llamatelemetry_fetch::{Limits, Pip, PipForm, PipPackage, unpack};
use llamatelemetry_progress::Progress;
use llamatelemetry_settings::Settings;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// The tools of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tools {
    pub(crate) cmake: PathBuf,
    pub(crate) ninja: PathBuf,
}

/// Finds or fetches both.
pub(crate) fn get(
    settings: &Settings,
    sources: &Sources,
    progress: &dyn Progress,
) -> Result<Tools, RuntimeError> {
    Ok(Tools {
        cmake: find_or_fetch(sources.tool("cmake")?, settings, progress)?,
        ninja: find_or_fetch(sources.tool("ninja")?, settings, progress)?,
    })
}

/// A tool that is here and new enough: on `PATH`, or fetched before.
pub(crate) fn find(tool: &BuildTool, settings: &Settings) -> Option<PathBuf> {
    on_path(&settings.environment, &tool.program)
        .chain(std::iter::once(fetched(tool, settings)))
        .filter(|path| is_program(path))
        .find(|path| new_enough(path, tool, settings))
}

fn find_or_fetch(
    tool: &BuildTool,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<PathBuf, RuntimeError> {
    if let Some(found) = find(tool, settings) {
        return Ok(found);
    }
    fetch(tool, settings, progress).map_err(|source| RuntimeError::BuildTool {
        tool: tool.program.clone(),
        at_least: format!("{}.{}", tool.at_least.0, tool.at_least.1),
        source: Box::new(source),
    })
}

fn folder(tool: &BuildTool, settings: &Settings) -> PathBuf {
    settings
        .home
        .tools()
        .join(format!("{}-{}", tool.name, tool.version))
}

fn fetched(tool: &BuildTool, settings: &Settings) -> PathBuf {
    folder(tool, settings).join("bin").join(&tool.program)
}

/// A program of that name may be a wrapper around nothing, so it is asked.
fn new_enough(path: &Path, tool: &BuildTool, settings: &Settings) -> bool {
    let environment = super::environment(&settings.environment);
    child::run(path, &["--version"], &environment, LIMIT)
        .ok()
        .filter(child::Finished::success)
        .and_then(|finished| version_in(&finished.stdout))
        .is_some_and(|version| version >= tool.at_least)
}

/// `cmake version 4.4.4`, `1.13.2.git.kitware` → the first two numbers.
fn version_in(text: &str) -> Option<(u32, u32)> {
    let word = text
        .split_whitespace()
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    let mut parts = word.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn fetch(
    tool: &BuildTool,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<PathBuf, RuntimeError> {
    let home = &settings.home;
    progress.note(&format!(
        "fetching {} {}, because this machine has none that is new enough",
        tool.name, tool.version
    ));
    let wheel = Pip::find(settings)?.download(
        &PipPackage {
            name: tool.name.clone(),
            version: tool.version.clone(),
            sha256: tool.sha256.clone(),
            form: PipForm::Wheel,
        },
        &home.ensure(home.downloads())?,
        progress,
    )?;
    install(&wheel, tool, settings, progress)?;
    Ok(fetched(tool, settings))
}

fn install(
    wheel: &Path,
    tool: &BuildTool,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<(), RuntimeError> {
    let home = &settings.home;
    let tools = home.ensure(home.tools())?;
    let staging = tempfile::Builder::new()
        .prefix(".unpacking-")
        .tempdir_in(&tools)
        .map_err(|source| RuntimeError::io("write to", &tools, source))?;
    let program = tool.program.clone();
    let select = move |path: &Path| place(path, &program);
    unpack(wheel, staging.path(), &select, &Limits::default(), progress)?;
    let program = staging.path().join("bin").join(&tool.program);
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, executable)
        .map_err(|source| RuntimeError::io("find", &program, source))?;
    let folder = folder(tool, settings);
    files::remove_folder(&folder)?;
    std::fs::rename(staging.keep(), &folder)
        .map_err(|source| RuntimeError::io("rename to", &folder, source))
}

/// Where a wheel's file goes: programs from `NAME-VERSION.data/scripts`, cmake's own files from
/// `cmake/data` without its manual.
fn place(path: &Path, program: &str) -> Option<PathBuf> {
    if let Ok(inside) = path.strip_prefix("cmake/data") {
        let unneeded = ["doc", "share/vim", "share/emacs", "share/bash-completion"]
            .iter()
            .any(|folder| inside.starts_with(folder))
            || inside.components().any(|part| part.as_os_str() == "Help");
        return (!unneeded).then(|| inside.to_path_buf());
    }
    let scripts = path.parent()?;
    let from_data = scripts.ends_with("scripts")
        && scripts
            .parent()?
            .extension()
            .is_some_and(|extension| extension == "data");
    let wanted = path.file_name().is_some_and(|name| name == program);
    (from_data && wanted).then(|| Path::new("bin").join(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version_in("cmake version 4.4.4\n\nmore"), Some((4, 4)));
        assert_eq!(
            version_in("1.13.2.git.kitware.jobserver-pipe-1\n"),
            Some((1, 13))
        );
        assert_eq!(version_in("pyenv: cmake: command not found"), None);
    }

    #[test]
    fn wheels_are_sorted_into_a_prefix() {
        let place = |path: &str, program| super::place(Path::new(path), program);
        assert_eq!(
            place("cmake/data/bin/cmake", "cmake"),
            Some("bin/cmake".into())
        );
        assert_eq!(
            place("cmake/data/share/cmake-4.4/Modules/A.cmake", "cmake"),
            Some("share/cmake-4.4/Modules/A.cmake".into())
        );
        assert_eq!(
            place("cmake/data/share/cmake-4.4/Help/a.rst", "cmake"),
            None
        );
        assert_eq!(
            place("ninja-1.13.2.data/scripts/ninja", "ninja"),
            Some("bin/ninja".into())
        );
        assert_eq!(place("ninja/__init__.py", "ninja"), None);
        assert_eq!(place("cmake/__init__.py", "cmake"), None);
    }
}
