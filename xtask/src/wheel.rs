//! The Python package: built as a wheel, installed into an environment of its own, tested there.

use crate::project::{Project, run};
use crate::python::Packages;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

const TOOLS: Packages = Packages {
    folder: "wheel-tools",
    requirements: "wheel.txt",
    constraints: None,
    module: "maturin",
};

/// The wheel, installed where nothing else of the repository is in reach.
pub(crate) struct Installed {
    interpreter: PathBuf,
    /// Where the tests' report is written.
    pub(crate) report: PathBuf,
}

/// Builds the wheel with what the other steps have compiled, and installs it.
pub(crate) fn install(project: &Project) -> Result<Installed> {
    let (interpreter, _) = TOOLS.prepare(project)?;
    let wheels = project.testbed().join("wheels");
    if wheels.exists() {
        std::fs::remove_dir_all(&wheels)
            .with_context(|| format!("cannot remove {}", wheels.display()))?;
    }
    run(project
        .command(interpreter.with_file_name("maturin"))
        .current_dir(project.root.join("python"))
        .args(["build", "--quiet", "--profile", "dev", "--interpreter"])
        .arg(&interpreter)
        .arg("--out")
        .arg(&wheels)
        .env("CARGO_TARGET_DIR", &project.target))?;
    let wheel = only_file(&wheels)?;
    run(project
        .command(&interpreter)
        .args(["-m", "pip", "install", "--quiet", "--force-reinstall"])
        .args(["--disable-pip-version-check", "--no-deps", "--no-index"])
        .arg(&wheel))?;
    Ok(Installed {
        interpreter,
        report: project.testbed().join("pytest.xml"),
    })
}

impl Installed {
    /// The stubs say what the native part has, and the package is typed throughout.
    pub(crate) fn check_types(&self, project: &Project) -> Result<()> {
        run(self
            .away(project)
            .args([
                "-m",
                "mypy",
                "--strict",
                "--no-error-summary",
                "--config-file",
            ])
            .arg(project.root.join("python/pyproject.toml"))
            .args(["--package", "llamatelemetry"]))?;
        run(self
            .away(project)
            .args(["-m", "mypy.stubtest", "llamatelemetry._native"]))
    }

    /// The command that runs the tests in `python/tests`.
    pub(crate) fn tests(&self, project: &Project) -> Command {
        let mut command = self.away(project);
        command
            .args(["-m", "pytest", "--quiet", "-p", "no:cacheprovider"])
            .arg("--junitxml")
            .arg(&self.report)
            .arg(project.root.join("python/tests"));
        command
    }

    /// Python in a folder from which the sources cannot be imported.
    fn away(&self, project: &Project) -> Command {
        let mut command = project.command(&self.interpreter);
        command.current_dir(project.testbed());
        command
    }
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let mut files =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let file = files.next().context("maturin has built no wheel")??;
    Ok(file.path())
}
