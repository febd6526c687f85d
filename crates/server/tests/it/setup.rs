//! What the tests start: the real server where there is one, and scripts that behave badly.

use llamatelemetry_progress::Silent;
use llamatelemetry_server::{LaunchSpec, LogContent, ServerError, ServerProcess};
use llamatelemetry_testbed::{ScratchHome, scratch_home, until};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Long enough for anything that works, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough for a server to end in good order.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// A line with which a server in child mode says that it is ready.
pub(crate) const READY: &str =
    r#"echo 'cmd_child_to_router:state:{"state":"ready","payload":{"id":"stub"}}'"#;

/// The help of the stubs.
const HELP: &str = "\
--model FNAME                           model path
--alias STRING                          alias
--host HOST                             ip address, or bind to an UNIX socket
--port PORT                             port
--api-key-file FNAME                    keys
--ctx-size N                            context
--threads N                             threads
";

/// A home, a runtime folder and a model of a test's own.
pub(crate) struct Place {
    pub(crate) home: ScratchHome,
}

/// A place of a test's own, with secrets and misleading variables in its environment.
pub(crate) fn place() -> Place {
    let home = scratch_home();
    let runtime = home.root().join("run");
    std::fs::create_dir(&runtime).expect("a runtime folder");
    std::fs::write(home.root().join("stub.gguf"), "no model").expect("a model file");
    Place {
        home: home
            .with("XDG_RUNTIME_DIR", runtime)
            .with("MY_API_KEY", "key-that-must-not-pass")
            .with("HF_TOKEN", "token-that-must-not-pass")
            .with("OTEL_EXPORTER_OTLP_HEADERS", "authorization=must-not-pass")
            .with("LLAMA_ARG_CTX_SIZE", "77")
            .with("GGML_SCHED_DEBUG", "2"),
    }
}

impl Place {
    /// What to launch, for any program and model.
    pub(crate) fn spec(&self, program: &Path, model: &Path) -> LaunchSpec {
        LaunchSpec::new(program, model, &self.home.settings())
    }

    /// A program that answers `--help` as llama-server does and else runs this shell script.
    pub(crate) fn stub(&self, script: &str) -> LaunchSpec {
        let text = format!(
            "#!/bin/sh\nif [ \"$1\" = --help ]; then cat <<'END'\n{HELP}END\nexit; fi\n{script}\n"
        );
        let program = self.script("stub", &text);
        LaunchSpec {
            // Scripts do not write as llama-server does.
            log_content: LogContent::Shown,
            ..self.spec(&program, &self.model())
        }
    }

    /// The real server behind a script that runs this first.
    pub(crate) fn real_behind(&self, script: &str) -> LaunchSpec {
        let mut spec = self.real();
        let text = format!(
            "#!/bin/sh\n{script}\nexec '{}' \"$@\"\n",
            spec.program.display()
        );
        spec.program = self.script("wrapped", &text);
        spec
    }

    /// The real server with the real model.
    pub(crate) fn real(&self) -> LaunchSpec {
        let runtime = llamatelemetry_testbed::runtime();
        let model = llamatelemetry_testbed::smollm2();
        let mut spec = self.spec(&runtime.server, &model.path);
        spec.library_dirs = runtime.library_dirs;
        spec
    }

    /// An executable script of this text.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        let program = self.home.root().join(name);
        std::fs::write(&program, text).expect("a script");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))
            .expect("an executable script");
        program
    }

    /// A file that stands for a model.
    pub(crate) fn model(&self) -> PathBuf {
        self.home.root().join("stub.gguf")
    }

    /// The files that launches keep: none once all have ended.
    pub(crate) fn launch_files(&self) -> Vec<String> {
        let folder = self.home.root().join("run/llamatelemetry");
        std::fs::read_dir(folder)
            .map(|entries| {
                entries
                    .map(|entry| entry.expect("an entry").file_name())
                    .map(|name| name.to_string_lossy().into_owned())
                    .filter(|name| name != "empty")
                    .collect()
            })
            .unwrap_or_default()
    }
}

/// Starts a server that is expected to start.
#[track_caller]
pub(crate) fn start(spec: &LaunchSpec) -> ServerProcess {
    ServerProcess::start(spec, &Silent).unwrap_or_else(|error| panic!("no start: {error}"))
}

/// Starts a server that is expected not to.
#[track_caller]
pub(crate) fn failure(spec: &LaunchSpec) -> ServerError {
    match ServerProcess::start(spec, &Silent) {
        Ok(server) => panic!("{server:?} started"),
        Err(error) => error,
    }
}

/// Whether a process is gone, or waits only for its parent to notice that it has ended.
pub(crate) fn is_dead(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| {
        let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
        state.starts_with(['Z', 'X'].as_slice())
    })
}

/// Waits until a process is dead.
#[track_caller]
pub(crate) fn until_dead(pid: u32, limit: Duration) {
    until("the end of the process", limit, || {
        is_dead(pid).then_some(())
    });
}

/// Sends a signal by name.
#[track_caller]
pub(crate) fn signal(name: &str, pid: u32) {
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{name} {pid}"))
        .status()
        .expect("a shell");
    assert!(status.success(), "kill -{name} {pid}");
}

/// The first number after this word in the server's log, once it is there.
#[track_caller]
pub(crate) fn number_in_log(server: &ServerProcess, word: &str) -> u32 {
    until("a number in the log", PATIENCE, || {
        server.log_tail().iter().find_map(|line| {
            let rest = line.text.split_once(word)?.1;
            rest.split_whitespace().next()?.parse().ok()
        })
    })
}
