//! No room: files may not grow beyond a limit, as on a small disk or under `ulimit -f`.

use crate::made::{FIRST, Hub, gguf_of};
use llamatelemetry_models::ensure;
use llamatelemetry_progress::Silent;
use llamatelemetry_settings::{Environment, Flags, resolve};

/// Names the model that the child shall fetch.
const CHILD: &str = "LLAMATELEMETRY_TEST_FULL";

/// Run by the test below under a limit; does nothing in an ordinary run.
#[test]
fn child() {
    let environment = Environment::from_process();
    let Some(name) = environment.get(CHILD).map(str::to_owned) else {
        return;
    };
    let settings = resolve(environment, &Flags::default())
        .expect("good settings")
        .settings;
    let error = ensure(&name, &settings, &Silent).expect_err("no room");
    println!("refused: {error}; {}", error.hints().join("; "));
}

#[test]
fn a_file_that_may_not_be_so_large_is_refused_before_it_is_fetched() {
    let hub = Hub::start();
    hub.publish(
        "lab/Large-GGUF",
        FIRST,
        &[("l-Q4_K_M.gguf", gguf_of("llama", "large", 8 << 20))],
    );
    let home = hub.home();
    let program = std::env::current_exe().expect("this test's program");
    // The catalogue's model is refused before pip is asked, so this needs no registry.
    for name in ["lab/Large-GGUF", "smollm2"] {
        let output = home
            .command("sh")
            .args([
                "-c",
                "ulimit -f 4096 && exec \"$0\" --exact full::child --nocapture",
            ])
            .arg(&program)
            .env(CHILD, name)
            .output()
            .expect("the child");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {told}");
        let refused = told
            .lines()
            .find(|line| line.contains("refused: "))
            .unwrap_or_default();
        assert!(
            refused.contains("the file is larger than may be written here (limit "),
            "{name}: {told}"
        );
    }
    let sent: u64 = hub
        .files
        .seen()
        .iter()
        .filter(|seen| seen.path.contains("/resolve/"))
        .map(|seen| seen.sent)
        .sum();
    assert!(sent <= 4 << 20, "{sent} bytes were sent for nothing");
}
