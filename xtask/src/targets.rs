//! That the product compiles for machines that the tests do not run on.

use crate::project::{Project, run};
use anyhow::{Context as _, Result};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// The targets beside that of the machine at hand.
const TARGETS: &[&str] = &["aarch64-unknown-linux-gnu", "aarch64-apple-darwin"];

/// Stands in for a C compiler: `cargo check` links nothing, so what it makes may be empty.
const COMPILER: &str = "#!/bin/sh
while [ $# -gt 0 ]; do
    if [ \"$1\" = -o ]; then : >\"$2\"; fi
    shift
done
";

/// Stands in for what packs objects.
const PACKER: &str = "#!/bin/sh
for argument in \"$@\"; do
    case $argument in *.a) : >\"$argument\" ;; esac
done
";

/// Checks the program for every target whose standard library can be had; returns what was left
/// out, with the reason.
pub(crate) fn check(project: &Project) -> Result<Vec<String>> {
    let mut left_out = Vec::new();
    let folder = project.testbed().join("no-compiler");
    let compiler = program(&folder, "cc", COMPILER)?;
    let packer = program(&folder, "ar", PACKER)?;
    for target in TARGETS {
        if !has_library(project, target) {
            left_out.push(format!(
                "targets: no standard library for {target} (rustup target add)"
            ));
            continue;
        }
        let variable = target.replace('-', "_");
        run(project
            .cargo(["check", "--package", "llamatelemetry-cli", "--target"])
            .arg(target)
            .env(format!("CC_{variable}"), &compiler)
            .env(format!("AR_{variable}"), &packer)
            .env("RUSTFLAGS", "-D warnings"))?;
    }
    Ok(left_out)
}

/// Whether the standard library for the target is there, fetched if need be.
fn has_library(project: &Project, target: &str) -> bool {
    project
        .command("rustup")
        .args(["target", "add", target])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn program(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    let write = || {
        std::fs::create_dir_all(folder)?;
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
    };
    write().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
