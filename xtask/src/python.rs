//! The Python environment of the tests: oracles and peers from the package registry.

use crate::project::{Project, output, run, shown};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Stdio;

const REQUIREMENTS: &str = "xtask/python/requirements.txt";

/// Makes or reuses `target/testbed/python`; returns its interpreter.
///
/// It is made anew when the requirements or the interpreter it was made from have changed.
pub(crate) fn prepare(project: &Project) -> Result<PathBuf> {
    let folder = project.testbed().join("python");
    let interpreter = folder.join("bin/python3");
    let stamp = folder.join("made-from");
    let requirements = project.root.join(REQUIREMENTS);
    let wanted = std::fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    if std::fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted)
        && works(project, &interpreter)
    {
        println!("{} is up to date", shorten(project, &folder));
        return Ok(interpreter);
    }
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", folder.display()));
        }
        _ => {}
    }
    std::fs::create_dir_all(project.testbed())?;
    // The PATH of the tests would find the interpreter that is about to be made.
    let system = system_python(project)?;
    run(project.command(&system).args(["-m", "venv"]).arg(&folder))
        .context("`python3 -m venv` failed; on Debian and Ubuntu it is the package python3-venv")?;
    run(project
        .command(&interpreter)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(["--only-binary", ":all:", "--requirement"])
        .arg(&requirements))?;
    link_rotel(project, &interpreter)?;
    std::fs::write(&stamp, wanted)?;
    println!("made {}", shorten(project, &folder));
    Ok(interpreter)
}

/// The collector's program lies inside its package; the tests look for it beside the interpreter.
fn link_rotel(project: &Project, interpreter: &Path) -> Result<()> {
    let path = output(project.command(interpreter).args([
        "-c",
        "import pathlib, rotel; print(pathlib.Path(rotel.__file__).parent / 'rotel-agent')",
    ]))?;
    let path = PathBuf::from(String::from_utf8(path)?.trim());
    let link = interpreter.with_file_name("rotel-agent");
    std::os::unix::fs::symlink(&path, &link)
        .with_context(|| format!("cannot link {} to {}", link.display(), path.display()))
}

fn works(project: &Project, interpreter: &Path) -> bool {
    project
        .command(interpreter)
        .args(["-c", "import gguf"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The real file behind the first `python3` on the user's `PATH`. Asked for in the user's own
/// environment, since version managers find their choice through the home folder.
fn system_python(project: &Project) -> Result<PathBuf> {
    let mut command = std::process::Command::new("python3");
    command.current_dir(&project.root).args([
        "-c",
        "import sys; assert sys.version_info >= (3, 11); print(sys.executable)",
    ]);
    let asked = command.output().with_context(|| {
        format!(
            "cannot run {}: install Python 3.11 or newer",
            shown(&command)
        )
    })?;
    let path = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    if !asked.status.success() || path.is_empty() {
        bail!("the tests' oracles need Python 3.11 or newer as `python3`");
    }
    Ok(PathBuf::from(path))
}

fn shorten(project: &Project, path: &Path) -> String {
    path.strip_prefix(&project.root)
        .unwrap_or(path)
        .display()
        .to_string()
}
