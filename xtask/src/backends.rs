//! The backends that acceptance tests send to, as their makers ship them: Phoenix and MLflow in a
//! Python environment each (what they need contradicts each other), Prometheus from Debian's
//! package.

use crate::project::{Project, output, run};
use crate::python::Packages;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PHOENIX: Packages = Packages {
    folder: "phoenix",
    requirements: "phoenix.txt",
    constraints: Some("phoenix-constraints.txt"),
    module: "phoenix",
};

const MLFLOW: Packages = Packages {
    folder: "mlflow",
    requirements: "mlflow.txt",
    constraints: Some("mlflow-constraints.txt"),
    module: "mlflow",
};

/// Readers of Parquet files: `DuckDB`, pandas and Spark.
const TABLES: Packages = Packages {
    folder: "tables",
    requirements: "tables.txt",
    constraints: None,
    module: "pyspark",
};

/// Brings all of them below `target/testbed`. A missing Prometheus is told and no error: its
/// package is Debian's, and the tests that need it say that they were skipped.
pub(crate) fn prepare(project: &Project) -> Result<()> {
    if let Err(error) = prometheus(project) {
        println!("no Prometheus: {error:#}");
    }
    PHOENIX.prepare(project)?;
    MLFLOW.prepare(project)?;
    TABLES.prepare(project)?;
    Ok(())
}

/// The command that does so, to be run beside other steps.
pub(crate) fn command(project: &Project) -> Result<Command> {
    let mut command = project.command(std::env::current_exe()?);
    command.arg("backends");
    Ok(command)
}

/// Unpacks Debian's package of Prometheus, which needs no rights, into `target/testbed/prometheus`.
fn prometheus(project: &Project) -> Result<()> {
    let folder = project.testbed().join("prometheus");
    let program = folder.join("usr/bin/prometheus");
    if answers(project, &program) {
        println!("target/testbed/prometheus is up to date");
        return Ok(());
    }
    let work = project.testbed().join("prometheus-package");
    let package = download(project, &work)?;
    run(project
        .command("dpkg-deb")
        .arg("--extract")
        .arg(&package)
        .arg(&folder))?;
    if !answers(project, &program) {
        bail!("the package's program does not run here");
    }
    std::fs::remove_dir_all(&work)?;
    println!("made target/testbed/prometheus");
    Ok(())
}

fn answers(project: &Project, program: &Path) -> bool {
    project
        .command(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Fetches the package with apt's own mirrors and keys, and lists of our own: the system's may be
/// empty, and only root may change them.
fn download(project: &Project, work: &Path) -> Result<PathBuf> {
    for folder in ["lists/partial", "cache/archives/partial", "package"] {
        std::fs::create_dir_all(work.join(folder))?;
    }
    let apt = |action: &[&str]| {
        let mut command = project.command("apt-get");
        command
            .current_dir(work.join("package"))
            .args(["--quiet=2", "-o"])
            .arg(format!(
                "Dir::State::Lists={}",
                work.join("lists").display()
            ))
            .arg("-o")
            .arg(format!("Dir::Cache={}", work.join("cache").display()))
            // Where root runs it, apt's own user cannot read our folders.
            .args(["-o", "APT::Sandbox::User=root"])
            .args(action)
            // It clears another cache as well, where it may.
            .stderr(Stdio::null());
        command
    };
    output(&mut apt(&["update"])).context("apt-get has no lists (is this Debian or Ubuntu?)")?;
    output(&mut apt(&["download", "prometheus"])).context("apt-get has no package prometheus")?;
    let mut packages = std::fs::read_dir(work.join("package"))?;
    Ok(packages.next().context("apt-get left no package")??.path())
}
