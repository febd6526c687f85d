//! The third step: a server that loads the tiny model and answers.

use super::refusal::{Refusal, RefusalKind, by_signal, missing_library};
use super::{QueueSignal, not_tried, with_sources};
use crate::{Backend, files};
use llamatelemetry_api::blocking::{AnswerStream, Client};
use llamatelemetry_api::{ApiError, CompletionRequest};
use llamatelemetry_gguf::{PROOF_PROMPT, PROOF_TEXT, proof_model};
use llamatelemetry_progress::Silent;
use llamatelemetry_server::{Exit, ExitClass, LaunchSpec, ServerError, ServerProcess};
use llamatelemetry_settings::{GpuLayers, ServerSettings, Settings};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// A start shows no sign of life while CUDA code is translated for a new GPU, which can take
/// minutes the first time.
const START_LIMIT: Duration = Duration::from_secs(300);
const STOP_GRACE: Duration = Duration::from_secs(5);
/// Measurements of the queue signal at most, and what one must have had to wait for.
const MEASUREMENTS: u32 = 6;
const LEAST_WAIT: Duration = Duration::from_millis(5);
const LEAST_PROMPT_MS: f64 = 1.0;
/// Tokens of the answer that keeps the slot busy while another request waits.
const BUSY_TOKENS: u64 = 400;
/// Letters of the prompt whose evaluation must take a measurable time.
const LONG_PROMPT: usize = 1200;

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
    spec.options = ServerSettings {
        context: Some(2048),
        parallel: Some(1),
        threads: Some(1),
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
    let mut request = CompletionRequest {
        prompt: prompt.to_owned(),
        max_tokens: Some(tokens),
        temperature: Some(0.0),
        ..CompletionRequest::default()
    };
    request.extra.insert("ignore_eos".into(), true.into());
    request.extra.insert("cache_prompt".into(), false.into());
    request
}

/// Whether a response's header arrives when a slot begins to work on the request. Asked until two
/// measurements agree: a busy machine may hold up either side of one.
fn queue_signal(process: &ServerProcess, client: &Client) -> Result<QueueSignal, ApiError> {
    let mut votes = [0_u32; 2];
    for _ in 0..MEASUREMENTS {
        match judge(&measure(process, client)?) {
            Some(QueueSignal::Headers) => votes[0] += 1,
            Some(QueueSignal::Progress) => votes[1] += 1,
            None => {}
        }
        match votes {
            [2, _] => return Ok(QueueSignal::Headers),
            [_, 2] => break,
            _ => {}
        }
    }
    Ok(QueueSignal::Progress)
}

/// With the one slot busy, a second request is sent. Its header must wait for the slot, and must
/// not wait for the evaluation of its own long prompt.
fn measure(process: &ServerProcess, client: &Client) -> Result<Waited, ApiError> {
    let second = Client::new(process.address().clone(), process.key().cloned())?;
    std::thread::scope(|scope| {
        let (go, gone) = sync_channel::<()>(1);
        let waiting = std::thread::Builder::new()
            .name("proof-waiter".to_owned())
            .spawn_scoped(scope, move || {
                // A sender that was dropped has failed and says why itself.
                let _told = gone.recv();
                wait_for_slot(&second)
            })
            .map_err(ApiError::Runtime)?;
        let mut busy = client.completion_stream(&request(PROOF_PROMPT, BUSY_TOKENS), None)?;
        if let Some(first) = busy.next() {
            first?;
        }
        drop(go);
        drain(&mut busy)?;
        let slot_free = Instant::now();
        let waited = waiting
            .join()
            .unwrap_or_else(|_| Err(ApiError::Runtime(std::io::Error::other("a thread died"))))?;
        Ok(Waited {
            slot_free: Some(slot_free),
            ..waited
        })
    })
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
    let prompt: String = ('a'..='z').cycle().take(LONG_PROMPT).collect();
    let sent = Instant::now();
    let mut stream = client.completion_stream(&request(&prompt, 2), None)?;
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

/// `None` where there was too little to wait for.
fn judge(waited: &Waited) -> Option<QueueSignal> {
    let to_wait = waited.slot_free?.saturating_duration_since(waited.sent);
    let to_header = waited.header.saturating_duration_since(waited.sent);
    let to_first = waited.first.saturating_duration_since(waited.header);
    eprintln!("{to_wait:?} {to_header:?} {to_first:?} {}", waited.prompt_ms);
    tracing::debug!(
        ?to_wait,
        ?to_header,
        ?to_first,
        prompt_ms = waited.prompt_ms,
        "queue signal"
    );
    if to_wait < LEAST_WAIT || waited.prompt_ms < LEAST_PROMPT_MS {
        return None;
    }
    let waited_for_slot = to_header * 2 >= to_wait;
    let ahead_of_prefill = to_first.as_secs_f64() * 1000.0 >= waited.prompt_ms / 2.0;
    Some(if waited_for_slot && ahead_of_prefill {
        QueueSignal::Headers
    } else {
        QueueSignal::Progress
    })
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

    fn signal(header: u64, first: u64, prompt_ms: f64) -> Option<QueueSignal> {
        let sent = Instant::now();
        let at = |millis| sent + Duration::from_millis(millis);
        judge(&Waited {
            sent,
            slot_free: Some(at(100)),
            header: at(header),
            first: at(first),
            prompt_ms,
        })
    }

    #[test]
    fn the_signal_is_the_header_only_if_it_comes_with_the_slot() {
        assert_eq!(signal(101, 131, 30.0), Some(QueueSignal::Headers));
        // At once, before the slot is free.
        assert_eq!(signal(1, 131, 30.0), Some(QueueSignal::Progress));
        // Only with the first token.
        assert_eq!(signal(131, 131, 30.0), Some(QueueSignal::Progress));
        // Nothing to measure.
        assert_eq!(signal(101, 131, 0.0), None);
    }
}
