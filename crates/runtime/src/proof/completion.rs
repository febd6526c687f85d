//! The third step: a server that loads the tiny model and answers.

use super::refusal::{Refusal, RefusalKind, by_signal, missing_library};
use super::{QueueSignal, not_tried, with_sources};
use crate::{Backend, files};
use llamatelemetry_api::blocking::{AnswerStream, Client};
use llamatelemetry_api::{ApiError, CompletionRequest, Endpoints as _, Generation};
use llamatelemetry_gguf::{PROOF_PROMPT, PROOF_TEXT, proof_model};
use llamatelemetry_progress::Silent;
use llamatelemetry_server::{Exit, ExitClass, LaunchSpec, Listen, ServerError, ServerProcess};
use llamatelemetry_settings::{GpuLayers, ServerSettings, Settings};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A start shows no sign of life while CUDA code is translated for a new GPU, which can take
/// minutes the first time.
const START_LIMIT: Duration = Duration::from_secs(300);
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Measurements of the queue signal at most, and what one must have had to wait for.
const MEASUREMENTS: u32 = 4;
const LEAST_WAIT: Duration = Duration::from_millis(10);
const LEAST_PROMPT_MS: f64 = 2.0;
/// Letters of the prompt whose evaluation must take a measurable time.
const LONG_PROMPT: usize = 1900;

/// What the server showed.
pub(super) struct Answered {
    pub(super) queue_signal: QueueSignal,
    /// From launch to ready.
    pub(super) ready: Duration,
}

/// Starts the server with the tiny model and has it answer.
pub(super) fn answer(
    server: &Path,
    library_dirs: &[PathBuf],
    backend: Backend,
    settings: &Settings,
) -> Result<Answered, Refusal> {
    let model = model_file(settings)?;
    let mut spec = LaunchSpec::new(server.to_path_buf(), model, settings);
    spec.library_dirs = library_dirs.to_vec();
    spec.start_timeout = START_LIMIT;
    // The user's own choices are for their models; the proof asks about the binary.
    spec.listen = Listen::UnixSocket;
    spec.options = ServerSettings {
        context: Some(2048),
        parallel: Some(1),
        threads: Some(1),
        // Small steps make the evaluation of a long prompt long enough to be measured.
        extra_args: ["--batch-size", "64", "--ubatch-size", "1"]
            .map(str::to_owned)
            .to_vec(),
        gpu_layers: (backend != Backend::Cpu).then_some(GpuLayers::All),
        ..ServerSettings::default()
    };
    let begun = Instant::now();
    let process = ServerProcess::start(&spec, &Silent).map_err(|error| refused(&error))?;
    let ready = begun.elapsed();
    let result = converse(&process);
    let exit = process.exit();
    process.stop(STOP_GRACE);
    match (result, exit) {
        (Ok(queue_signal), _) => Ok(Answered {
            queue_signal,
            ready,
        }),
        // Its death says more than the broken connection does.
        (Err(_), Some(exit)) => Err(by_exit(&exit)),
        (Err(refusal), None) => Err(refusal),
    }
}

fn model_file(settings: &Settings) -> Result<PathBuf, Refusal> {
    let bytes = proof_model();
    let home = &settings.home;
    let path = home.cache().join("proof-model.gguf");
    if std::fs::read(&path).is_ok_and(|have| have == bytes) {
        return Ok(path);
    }
    home.ensure(home.cache())
        .map_err(|error| not_tried(&error))?;
    files::write(&path, &bytes).map_err(|error| not_tried(&error))?;
    Ok(path)
}

fn converse(process: &ServerProcess) -> Result<QueueSignal, Refusal> {
    let client = Client::new(process.address().clone(), process.key().cloned())
        .map_err(|error| not_tried(&error))?;
    let failed = |error: ApiError| {
        Refusal::new(
            RefusalKind::NoAnswer,
            format!(
                "it loaded the tiny model but gave no answer: {}",
                with_sources(&error)
            ),
        )
    };
    let mut text = String::new();
    for delta in client
        .completion_stream(&request(PROOF_PROMPT, PROOF_TEXT.len() as u64), None)
        .map_err(failed)?
    {
        text.push_str(&delta.map_err(failed)?.text);
    }
    if text != PROOF_TEXT {
        return Err(Refusal::new(
            RefusalKind::NoAnswer,
            format!("it computes wrongly: it answered {text:?} where {PROOF_TEXT:?} is right"),
        ));
    }
    // Not to know is no refusal: progress events serve where the header does not.
    Ok(queue_signal(process, &client).unwrap_or_else(|error| {
        tracing::debug!(%error, "the queue signal could not be measured");
        QueueSignal::Progress
    }))
}

fn request(prompt: &str, tokens: u64) -> CompletionRequest {
    CompletionRequest {
        prompt: prompt.into(),
        max_tokens: Some(tokens),
        temperature: Some(0.0),
        generation: Generation {
            ignore_eos: Some(true),
            cache_prompt: Some(false),
            ..Generation::default()
        },
        ..CompletionRequest::default()
    }
}

/// Whether a response's header arrives when a slot begins to work on the request. A busy machine
/// that holds up the reader hides such a header, but makes none; so one that was seen is enough.
fn queue_signal(process: &ServerProcess, client: &Client) -> Result<QueueSignal, ApiError> {
    for _ in 0..MEASUREMENTS {
        if came_with_the_slot(&measure(process, client)?) {
            return Ok(QueueSignal::Headers);
        }
    }
    Ok(QueueSignal::Progress)
}

/// With the one slot busy on a long prompt, a second request is sent. Its header must wait for the
/// slot, and must not wait for the evaluation of its own long prompt. Both answers are short, so
/// that only the server's work takes time.
fn measure(process: &ServerProcess, client: &Client) -> Result<Waited, ApiError> {
    let first = Client::new(process.address().clone(), process.key().cloned())?;
    std::thread::scope(|scope| {
        let busy = std::thread::Builder::new()
            .name("proof-busy".to_owned())
            .spawn_scoped(scope, move || -> Result<Instant, ApiError> {
                let mut stream = first.completion_stream(&long_request(), None)?;
                drain(&mut stream)?;
                Ok(Instant::now())
            })
            .map_err(ApiError::Runtime)?;
        while !busy.is_finished() && !client.slots()?.iter().any(|slot| slot.is_processing) {}
        let waited = wait_for_slot(client)?;
        let slot_free = busy
            .join()
            .unwrap_or_else(|_| Err(ApiError::Runtime(std::io::Error::other("a thread died"))))?;
        Ok(Waited {
            slot_free: Some(slot_free),
            ..waited
        })
    })
}

fn long_request() -> CompletionRequest {
    let prompt: String = ('a'..='z').cycle().take(LONG_PROMPT).collect();
    request(&prompt, 2)
}

/// What a request that found the slot busy saw.
#[derive(Debug, Clone, Copy)]
struct Waited {
    sent: Instant,
    /// When the request before it had its last token.
    slot_free: Option<Instant>,
    header: Instant,
    first: Instant,
    prompt_ms: f64,
}

fn wait_for_slot(client: &Client) -> Result<Waited, ApiError> {
    let sent = Instant::now();
    let mut stream = client.completion_stream(&long_request(), None)?;
    let header = Instant::now();
    if let Some(first) = stream.next() {
        first?;
    }
    let first = Instant::now();
    drain(&mut stream)?;
    let prompt_ms = stream
        .observed()
        .timings
        .map_or(0.0, |timings| timings.prompt_ms);
    Ok(Waited {
        sent,
        slot_free: None,
        header,
        first,
        prompt_ms,
    })
}

fn drain(stream: &mut AnswerStream) -> Result<(), ApiError> {
    for delta in stream {
        delta?;
    }
    Ok(())
}

/// The header was waited for as long as the slot was busy, and the first token came well after it.
fn came_with_the_slot(waited: &Waited) -> bool {
    let Some(slot_free) = waited.slot_free else {
        return false;
    };
    let to_wait = slot_free.saturating_duration_since(waited.sent);
    let to_header = waited.header.saturating_duration_since(waited.sent);
    let to_first = waited.first.saturating_duration_since(waited.header);
    tracing::debug!(
        ?to_wait,
        ?to_header,
        ?to_first,
        prompt_ms = waited.prompt_ms,
        "queue signal"
    );
    let enough_to_wait_for = to_wait >= LEAST_WAIT && waited.prompt_ms >= LEAST_PROMPT_MS;
    enough_to_wait_for
        && to_header.as_secs_f64() >= to_wait.as_secs_f64() * 0.8
        && to_first.as_secs_f64() * 1000.0 >= waited.prompt_ms / 2.0
}

fn refused(error: &ServerError) -> Refusal {
    match error.exit() {
        Some(exit) => by_exit(exit),
        None => Refusal::new(
            RefusalKind::CannotLoad,
            format!("it could not be started: {}", with_sources(error)),
        ),
    }
}

fn by_exit(exit: &Exit) -> Refusal {
    const LOADING: &str = "the loading of a tiny model";
    let log = exit.log_tail.join("\n");
    let refusal = match exit.class {
        ExitClass::IllegalInstruction => by_signal(libc::SIGILL, LOADING),
        ExitClass::MissingLibrary => missing_library(&log).unwrap_or_else(|| {
            Refusal::new(RefusalKind::MissingLibrary, "a shared library is missing")
        }),
        ExitClass::BadModel => Refusal::new(
            RefusalKind::CannotLoad,
            "it cannot load the tiny model that any llama.cpp of today loads",
        ),
        ExitClass::BadFlag => Refusal::new(
            RefusalKind::CannotLoad,
            "it does not know a flag that we need; it may be too old",
        ),
        ExitClass::OutOfMemory => Refusal::new(
            RefusalKind::NotTried,
            "there is not enough memory even for the tiny model",
        ),
        _ => match (exit.signal, exit.code) {
            (Some(signal), _) => by_signal(signal, LOADING),
            (None, code) => Refusal::new(
                RefusalKind::CannotLoad,
                format!(
                    "it ended while loading the tiny model{}",
                    code.map_or_else(String::new, |code| format!(" with code {code}"))
                ),
            ),
        },
    };
    refusal.with_output(&log)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(header: u64, first: u64, prompt_ms: f64) -> bool {
        let sent = Instant::now();
        let at = |millis| sent + Duration::from_millis(millis);
        came_with_the_slot(&Waited {
            sent,
            slot_free: Some(at(100)),
            header: at(header),
            first: at(first),
            prompt_ms,
        })
    }

    #[test]
    fn the_signal_is_the_header_only_if_it_comes_with_the_slot() {
        assert!(signal(101, 131, 30.0));
        // At once, before the slot is free.
        assert!(!signal(1, 131, 30.0));
        // Only with the first token.
        assert!(!signal(131, 131, 30.0));
        // Nothing to measure.
        assert!(!signal(101, 131, 0.0));
    }
}
