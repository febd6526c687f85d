//! The servers that the tests ask.

use llamatelemetry_api::{ApiError, Endpoints as _, StreamEvent, blocking};
use llamatelemetry_progress::Silent;
use llamatelemetry_server::{LaunchSpec, ServerProcess};
use llamatelemetry_testbed::{ScratchHome, scratch_home, until};
use std::path::Path;
use std::time::Duration;

/// Long enough for anything that works, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running server and a client of it.
pub(crate) struct Place {
    pub(crate) client: blocking::Client,
    /// What the server's arguments point to.
    pub(crate) kept: Option<ScratchHome>,
    _process: ServerProcess,
    _home: ScratchHome,
}

impl std::ops::Deref for Place {
    type Target = blocking::Client;

    fn deref(&self) -> &blocking::Client {
        &self.client
    }
}

/// The tiny model that knows the alphabet, served with these arguments.
pub(crate) fn alphabet(arguments: &[&str]) -> Place {
    serve(&llamatelemetry_testbed::proof_model(), arguments)
}

/// SmolLM2, served with these arguments.
pub(crate) fn smollm2(arguments: &[&str]) -> Place {
    serve(&llamatelemetry_testbed::smollm2().path, arguments)
}

/// A model, served with these arguments.
pub(crate) fn serve(model: &Path, arguments: &[&str]) -> Place {
    let runtime = llamatelemetry_testbed::runtime();
    let home = scratch_home();
    let sockets = home.root().join("run");
    std::fs::create_dir(&sockets).unwrap();
    let home = home.with("XDG_RUNTIME_DIR", sockets);
    let mut spec = LaunchSpec::new(runtime.server, model, &home.settings());
    spec.library_dirs = runtime.library_dirs;
    spec.options.context = Some(2048);
    spec.options.parallel = Some(1);
    spec.options.extra_args = arguments
        .iter()
        .map(|&argument| argument.to_owned())
        .collect();
    let process = ServerProcess::start(&spec, &Silent).unwrap_or_else(|error| panic!("{error}"));
    let client = blocking::Client::new(process.address().clone(), process.key().cloned()).unwrap();
    Place {
        client,
        kept: None,
        _process: process,
        _home: home,
    }
}

impl Place {
    /// Waits until no slot works on anything.
    #[track_caller]
    pub(crate) fn until_idle(&self) {
        until("an idle server", PATIENCE, || {
            let busy = self.slots().unwrap().iter().any(|slot| slot.is_processing);
            (!busy).then_some(())
        });
    }

    /// Whether a slot works on something.
    pub(crate) fn is_busy(&self) -> bool {
        self.slots().unwrap().iter().any(|slot| slot.is_processing)
    }

    /// Reads a few events of a stream that has no end of its own, drops it, and sees the slot free
    /// again.
    #[track_caller]
    pub(crate) fn cut<E: StreamEvent>(&self, stream: Result<blocking::EventStream<E>, ApiError>) {
        let mut stream = stream.unwrap();
        for _ in 0..3 {
            stream.next().expect("an event").unwrap();
        }
        assert!(self.is_busy(), "the answer was over before it was cut");
        drop(stream);
        self.until_idle();
    }
}

/// What a server says that refuses: its status and its words.
#[track_caller]
pub(crate) fn refusal<T>(answer: Result<T, ApiError>) -> (u16, String) {
    match answer {
        Err(ApiError::Refused {
            status, complaint, ..
        }) => (status, complaint.message),
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("no error"),
    }
}
