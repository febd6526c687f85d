//! The one explicit function that makes sure of a runtime, and its companions.

use crate::attempt::{Explanation, Step};
use crate::search::{Mode, Search, wants};
use crate::sources::Sources;
use crate::{Backend, Runtime, RuntimeError, lock};
use llamatelemetry_machine::Machine;
use llamatelemetry_progress::Progress;
use llamatelemetry_settings::Settings;

/// How [`install`] is to go about it.
#[derive(Debug, Clone, Copy, Default)]
pub struct InstallOptions {
    /// Use this source only.
    pub only: Option<Step>,
}

/// Makes sure of a usable llama.cpp and returns it.
///
/// As long as nothing has changed since the last choice this costs a few file look-ups. Else the
/// sources are tried in their order, and the first that passes the proof is recorded in the lock
/// file. Of several processes one does the work and the others wait for it. The environment of
/// this process is not touched, and a path that the user set is never overwritten.
pub fn bootstrap(settings: &Settings, progress: &dyn Progress) -> Result<Runtime, RuntimeError> {
    let sources = Sources::built_in()?;
    let inputs = lock::Inputs::now(settings, &sources);
    if let Some(runtime) = lock::current(settings, &inputs) {
        return Ok(runtime);
    }
    let _guard = settings.home.lock("runtime", || {
        progress.note("waiting for another process that prepares llama.cpp");
    })?;
    if let Some(runtime) = lock::current(settings, &inputs) {
        return Ok(runtime);
    }
    search(settings, &sources, &inputs, None, progress)
}

/// The llama.cpp that [`bootstrap`] would return without doing anything, if there is one.
pub fn chosen(settings: &Settings) -> Option<Runtime> {
    let sources = Sources::built_in().ok()?;
    let inputs = lock::Inputs::now(settings, &sources);
    lock::current(settings, &inputs)
}

/// The same, but looks at every source anew, whatever the lock file says.
pub fn install(
    settings: &Settings,
    options: InstallOptions,
    progress: &dyn Progress,
) -> Result<Runtime, RuntimeError> {
    let sources = Sources::built_in()?;
    let inputs = lock::Inputs::now(settings, &sources);
    let _guard = settings.home.lock("runtime", || {
        progress.note("waiting for another process that prepares llama.cpp");
    })?;
    search(settings, &sources, &inputs, options.only, progress)
}

fn search(
    settings: &Settings,
    sources: &Sources,
    inputs: &lock::Inputs,
    only: Option<Step>,
    progress: &dyn Progress,
) -> Result<Runtime, RuntimeError> {
    let machine = Machine::probe();
    let wants = wants(settings, &machine);
    let found = Search::new(settings, sources, &machine, Mode::Make, only, progress).run(&wants);
    match found.chosen {
        Some(runtime) => {
            lock::write(settings, inputs, &machine, &runtime)?;
            Ok(runtime)
        }
        None => Err(RuntimeError::NoneUsable {
            attempts: found.attempts,
            source: found.last_error.map(Box::new),
        }),
    }
}

/// Tries or judges every source without fetching archives and without building, and tells what
/// came of each.
pub fn explain(settings: &Settings, progress: &dyn Progress) -> Explanation {
    let machine = Machine::probe();
    let wants = wants(settings, &machine);
    let (wanted, wanted_because) = wants.first().map_or_else(
        || (Backend::Cpu, String::new()),
        |want| (want.backend, want.because.clone()),
    );
    let mut explanation = Explanation {
        wanted,
        wanted_because,
        attempts: Vec::new(),
        chosen: None,
    };
    match Sources::built_in() {
        Ok(sources) => {
            let search = Search::new(settings, &sources, &machine, Mode::Explain, None, progress);
            let found = search.run(&wants);
            explanation.attempts = found.attempts;
            explanation.chosen = found.chosen;
        }
        Err(error) => progress.note(&error.to_string()),
    }
    explanation
}
