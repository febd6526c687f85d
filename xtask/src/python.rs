//! The Python environment of the tests: oracles and peers from the package registry.

use crate::project::{Project, output, run, shown};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// An environment of its own, made from files below `xtask/python`.
pub(crate) struct Packages {
    /// Its folder below `target/testbed`.
    pub(crate) folder: &'static str,
    /// What is installed.
    pub(crate) requirements: &'static str,
    /// The versions of what that needs; `None` where the requirements name them all.
    pub(crate) constraints: Option<&'static str>,
    /// A module that is there when it is whole.
    pub(crate) module: &'static str,
}

/// The oracles and the peer that most tests use.
const ORACLES: Packages = Packages {
    folder: "python",
    requirements: "requirements.txt",
    constraints: None,
    module: "gguf",
};

/// Makes or reuses `target/testbed/python`; returns its interpreter.
pub(crate) fn prepare(project: &Project) -> Result<PathBuf> {
    let (interpreter, made) = ORACLES.prepare(project)?;
    if made {
        link_rotel(project, &interpreter)?;
    }
    Ok(interpreter)
}

impl Packages {
    /// Makes or reuses it; returns its interpreter, and whether it was made. It is made anew when
    /// what it is made from has changed or its interpreter is gone.
    pub(crate) fn prepare(&self, project: &Project) -> Result<(PathBuf, bool)> {
        let folder = project.testbed().join(self.folder);
        let interpreter = folder.join("bin/python3");
        let stamp = folder.join("made-from");
        let files: Vec<PathBuf> = [Some(self.requirements), self.constraints]
            .into_iter()
            .flatten()
            .map(|name| project.root.join("xtask/python").join(name))
            .collect();
        let mut wanted = String::new();
        for file in &files {
            wanted += &std::fs::read_to_string(file)
                .with_context(|| format!("cannot read {}", file.display()))?;
        }
        if std::fs::read_to_string(&stamp).is_ok_and(|made_from| made_from == wanted)
            && works(project, &interpreter, self.module)
        {
            println!("{} is up to date", shorten(project, &folder));
            return Ok((interpreter, false));
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
        run(project.command(&system).args(["-m", "venv"]).arg(&folder)).context(
            "`python3 -m venv` failed; on Debian and Ubuntu it is the package python3-venv",
        )?;
        let mut install = project.command(&interpreter);
        install
            .args(["-m", "pip", "install", "--quiet", "--no-compile"])
            .args(["--disable-pip-version-check", "--only-binary", ":all:"]);
        for (option, file) in ["--requirement", "--constraint"].iter().zip(&files) {
            install.arg(option).arg(file);
        }
        run(&mut install)?;
        std::fs::write(&stamp, wanted)?;
        println!("made {}", shorten(project, &folder));
        Ok((interpreter, true))
    }
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

fn works(project: &Project, interpreter: &Path, module: &str) -> bool {
    // Found, not loaded: that takes seconds for the larger ones.
    let question = format!(
        "import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)"
    );
    project
        .command(interpreter)
        .args(["-c", &question])
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
