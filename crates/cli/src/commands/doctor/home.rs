//! The home folder: can it be written, and is there room.

use super::{Finding, Status};
use crate::quantity;
use llamatelemetry::machine::disk_free;
use llamatelemetry_settings::Settings;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Room for a build of llama.cpp and a small model.
const ENOUGH: u64 = 2_000_000_000;
/// Not even a small model fits into less.
const TOO_LITTLE: u64 = 200_000_000;

pub(super) fn checks(settings: &Settings) -> Vec<Finding> {
    vec![writable(settings), room(settings.home.root())]
}

fn writable(settings: &Settings) -> Finding {
    const CHECK: &str = "home";
    let home = &settings.home;
    let root = home.root().display();
    let folder = match home.ensure(home.cache()) {
        Ok(folder) => folder,
        Err(error) => {
            let detail = format!("{:#}", anyhow::anyhow!(error));
            return Finding::new(CHECK, Status::Broken, detail)
                .fix(["set LLAMATELEMETRY_HOME to a folder that you can write to"]);
        }
    };
    let probe = folder.join(format!("doctor-{}", std::process::id()));
    let written = File::create(&probe).and_then(|mut file| file.write_all(b"doctor"));
    // What could not be written need not be removed.
    std::fs::remove_file(&probe).unwrap_or_default();
    match written {
        Ok(()) => Finding::good(CHECK, root.to_string()),
        Err(error) => Finding::new(
            CHECK,
            Status::Broken,
            format!("cannot write to {root}: {error}"),
        )
        .fix(["set LLAMATELEMETRY_HOME to a folder that you can write to"]),
    }
}

fn room(root: &Path) -> Finding {
    const CHECK: &str = "disk";
    let free = match disk_free(root) {
        Ok(free) => free,
        Err(error) => {
            let detail = format!("free room cannot be told: {error}: {}", root.display());
            return Finding::new(CHECK, Status::Warning, detail);
        }
    };
    let detail = format!("{} free at {}", quantity::bytes(free), root.display());
    let status = match free {
        ENOUGH.. => Status::Good,
        TOO_LITTLE..ENOUGH => Status::Warning,
        _ => Status::Broken,
    };
    let finding = Finding::new(CHECK, status, detail);
    if status == Status::Good {
        finding
    } else {
        finding.fix([
            format!(
                "free {} there: a build of llama.cpp and a small model take about {}",
                quantity::bytes(ENOUGH - free),
                quantity::bytes(ENOUGH)
            ),
            "or set LLAMATELEMETRY_HOME to a larger disk".to_owned(),
        ])
    }
}
