//! Loading a model and streaming an answer: what `llt run` and `llt chat` share.

use super::Session;
use super::shared::Answer;
use crate::args::GenerateArgs;
use crate::interrupt::{Interrupted, Interrupts};
use crate::printer::Printer;
use crate::progress::Screen;
use llamatelemetry::models::{self, ModelError};
use llamatelemetry::{
    Delta, GenerateOptions, InferenceEngine, LoadFor, LoadOptions, TelemetryHandle, setup_telemetry,
};
use llamatelemetry_settings::Settings;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// How long spans that wait are tried to be sent at the end.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// Runs a command's async part on this thread. Threads that still work when it is stopped (a
/// download, a build) end with the program; what they began is taken up by the next run.
pub(crate) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime: Runtime = Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_background();
    outcome
}

/// A loaded model with its telemetry.
pub(crate) struct Loaded {
    pub(crate) engine: InferenceEngine,
    telemetry: TelemetryHandle,
}

impl Loaded {
    /// Loads the model for what it is for; a signal ends the wait.
    pub(crate) async fn load(
        model: &str,
        session: &Session,
        interrupts: &mut Interrupts,
    ) -> anyhow::Result<Self> {
        Self::load_for(model, LoadFor::Model, session, interrupts).await
    }

    /// Loads the model for this; a signal ends the wait.
    pub(crate) async fn load_for(
        model: &str,
        load_for: LoadFor,
        session: &Session,
        interrupts: &mut Interrupts,
    ) -> anyhow::Result<Self> {
        let settings = session.settings();
        check_name(model, settings)?;
        let console = Box::new(Console(session.printer.screen().clone()));
        let telemetry = setup_telemetry(settings, console)?;
        for notice in telemetry.notices() {
            session.printer.warn(notice);
        }
        telemetry.take_logs(&session.log_tap, settings.telemetry.log_level);
        let mut options = LoadOptions::new(settings.clone())
            .with_progress(session.printer.progress())
            .with_sink(telemetry.sink());
        options.load_for = load_for;
        let loading = InferenceEngine::load_model(model, options);
        let loaded = match interrupts.unless(loading).await {
            Ok(loaded) => loaded.map_err(anyhow::Error::from),
            Err(stopped) => Err(stopped.into()),
        };
        match loaded {
            Ok(engine) => Ok(Self { engine, telemetry }),
            Err(error) => {
                // The spans of a load that failed are wanted most of all.
                if let Some(loss) = telemetry.shutdown(SHUTDOWN) {
                    session.printer.warn(loss);
                }
                Err(error)
            }
        }
    }

    /// Stops the server and sends the spans that wait.
    pub(crate) async fn unload(self, session: &Session) {
        self.engine.unload().await;
        if let Some(loss) = self.telemetry.shutdown(SHUTDOWN) {
            session.printer.warn(loss);
        }
    }
}

/// Refuses a model that cannot be had, before anybody waits for a llama.cpp to run it.
fn check_name(model: &str, settings: &Settings) -> Result<(), ModelError> {
    match models::find(model, settings) {
        Err(
            error @ (ModelError::Unknown { .. }
            | ModelError::BadName { .. }
            | ModelError::Missing { .. }
            | ModelError::Folder { .. }
            | ModelError::MissingShards { .. }
            | ModelError::NotGguf { .. }
            | ModelError::Truncated { .. }),
        ) => Err(error),
        // It is here, or it has to be fetched, or there is more to say than a look can tell.
        _ => Ok(()),
    }
}

/// Where spans are printed: stderr, for stdout is the answer's.
pub(super) struct Console(pub(super) Arc<Screen>);

impl io::Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.raw(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What was typed, as the engine takes it.
pub(crate) fn options(args: &GenerateArgs) -> GenerateOptions {
    GenerateOptions {
        max_tokens: args.max_tokens,
        temperature: args.temperature,
        seed: args.seed,
        ..GenerateOptions::default()
    }
}

/// Writes the pieces of an answer as they come.
pub(crate) struct Writer<'a> {
    printer: &'a Printer,
    /// What the answer's text ended with so far.
    last: Option<char>,
    reasoning: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(printer: &'a Printer) -> Self {
        Self {
            printer,
            last: None,
            reasoning: false,
        }
    }

    /// Text to stdout, reasoning to stderr.
    pub(crate) fn piece(&mut self, delta: &Delta) -> io::Result<()> {
        if self.printer.is_json() {
            return Ok(());
        }
        if !delta.reasoning.is_empty() {
            self.reasoning = true;
            self.printer.murmur(&delta.reasoning);
        }
        if !delta.text.is_empty() {
            if std::mem::take(&mut self.reasoning) {
                self.printer.murmur("\n\n");
            }
            self.printer.answer(&delta.text)?;
            self.last = delta.text.chars().last();
        }
        Ok(())
    }

    /// Ends the answer's last line.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.reasoning) {
            self.printer.murmur("\n");
        }
        match self.last.take() {
            None | Some('\n') => Ok(()),
            Some(_) => self.printer.data("\n"),
        }
    }
}

/// Why an answer is not whole.
#[derive(Debug)]
pub(crate) enum Broken {
    /// A signal.
    Stopped(Interrupted),
    /// Stdout is gone.
    Output(io::Error),
    /// The request or the server.
    Failed(anyhow::Error),
}

impl From<Broken> for anyhow::Error {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Stopped(stopped) => stopped.into(),
            Broken::Output(error) => error.into(),
            Broken::Failed(error) => error,
        }
    }
}

/// Writes an answer as it streams. A signal ends it; dropping the stream then frees the slot.
pub(crate) async fn write(
    answer: &mut Answer,
    writer: &mut Writer<'_>,
    interrupts: &mut Interrupts,
    mut seen: impl FnMut(&Delta),
) -> Result<(), Broken> {
    loop {
        match interrupts.unless(answer.next()).await {
            Err(stopped) => return Err(Broken::Stopped(stopped)),
            Ok(Err(error)) => return Err(Broken::Failed(error)),
            Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(delta))) => {
                seen(&delta);
                writer.piece(&delta).map_err(Broken::Output)?;
            }
        }
    }
}
