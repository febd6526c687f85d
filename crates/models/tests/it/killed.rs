//! A download that is killed in the middle goes on where it was.

use crate::made::{FIRST, Hub, gguf_of, sha256};
use llamatelemetry_models::ensure;
use llamatelemetry_progress::Silent;
use llamatelemetry_settings::{Environment, Flags, resolve};
use llamatelemetry_testbed::Faults;
use std::time::Duration;

const REPO: &str = "lab/Large-GGUF";
/// Set for the child that is killed.
const CHILD: &str = "LLAMATELEMETRY_TEST_CHILD";
const MIB: usize = 1 << 20;

/// Run by the test below in a process of its own; does nothing in an ordinary run.
#[test]
fn child() {
    let environment = Environment::from_process();
    if environment.get(CHILD).is_none() {
        return;
    }
    let settings = resolve(environment, &Flags::default())
        .expect("good settings")
        .settings;
    ensure(REPO, &settings, &Silent).expect("it is killed before it can fail");
}

#[test]
fn kill_in_mid_download_then_the_same_again() {
    let hub = Hub::start();
    let bytes = gguf_of("llama", "large", 24 * MIB);
    let size = bytes.len() as u64;
    hub.publish(REPO, FIRST, &[("l-Q4_K_M.gguf", bytes.clone())]);
    let path = format!("/{REPO}/resolve/{FIRST}/l-Q4_K_M.gguf");
    // One connection, so that at most one part is under way when it is killed.
    let home = hub.home().with("LLAMATELEMETRY_CONNECTIONS", "1");
    hub.files.set_faults(
        &path,
        Faults {
            throttle: Some(16 * MIB as u64),
            ..Faults::default()
        },
    );
    let program = std::env::current_exe().expect("this test's program");
    let mut child = home
        .command(program)
        .args(["--exact", "killed::child", "--nocapture"])
        .env(CHILD, "1")
        .spawn()
        .expect("the child");
    let in_the_middle = hub.files.wait(Duration::from_secs(60), |seen| {
        seen.iter().map(|seen| seen.sent).sum::<u64>() > 13 * MIB as u64
    });
    child.kill().expect("killed");
    child.wait().expect("gone");
    assert!(in_the_middle, "the download came so far");
    let settings = home.settings();
    let blob = settings
        .models
        .hub_cache
        .join("models--lab--Large-GGUF/blobs")
        .join(sha256(&bytes));
    assert!(
        !blob.exists(),
        "what is not whole has not the name of what is"
    );
    hub.files.set_faults(&path, Faults::default());
    hub.files.forget();
    let model = ensure(REPO, &settings, &Silent).expect("the same again");
    assert_eq!(model.sha256, Some(sha256(&bytes)));
    assert_eq!(std::fs::read(&model.path).expect("the model"), bytes);
    let sent: u64 = hub
        .files
        .seen()
        .iter()
        .filter(|seen| seen.path.contains("/resolve/"))
        .map(|seen| seen.sent)
        .sum();
    // 13 MiB were sent; of them at most one part of 4 MiB is fetched again.
    assert!(
        sent <= size - 9 * MIB as u64,
        "{sent} of {size} bytes were fetched again"
    );
}
