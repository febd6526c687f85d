//! The server behind an engine, for those who want it without one.

use crate::error::Cause;
use crate::{Error, LoadOptions};
use llamatelemetry_api::Client;
use llamatelemetry_models::LocalModel;
use llamatelemetry_runtime::Runtime;
use llamatelemetry_server::{LaunchSpec, ServerProcess};
use std::sync::Arc;
use std::time::Duration;

/// How long a server may take to stop before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// Owns one running `llama-server` with its model. Dropping it stops the server.
#[derive(Debug)]
pub struct ServerManager {
    process: ServerProcess,
    client: Client,
    runtime: Runtime,
    model: LocalModel,
}

impl ServerManager {
    /// Finds or builds llama.cpp and fetches the model, side by side, then starts the server and
    /// returns once the model is loaded.
    pub async fn start_server(model: &str, options: &LoadOptions) -> Result<Self, Error> {
        let runtime = {
            let (settings, progress) = (options.settings.clone(), options.progress.clone());
            blocking(move || Ok(llamatelemetry_runtime::bootstrap(&settings, &progress)?))
        };
        let model = {
            let (name, settings, progress) = (
                model.to_owned(),
                options.settings.clone(),
                options.progress.clone(),
            );
            blocking(move || Ok(llamatelemetry_models::ensure(&name, &settings, &progress)?))
        };
        // Whichever fails first ends the wait: a wrong name must not sit out a build.
        let (runtime, model) = tokio::try_join!(runtime, model)?;
        let (settings, progress) = (options.settings.clone(), options.progress.clone());
        blocking(move || {
            let mut spec = LaunchSpec::new(&runtime.server, &model.path, &settings);
            spec.library_dirs.clone_from(&runtime.library_dirs);
            spec.projector.clone_from(&model.projector);
            spec.alias = Some(model.name.clone());
            let process = ServerProcess::start(&spec, &progress)?;
            let client = Client::new(process.address().clone(), process.key().cloned());
            Ok(Self {
                process,
                client,
                runtime,
                model,
            })
        })
        .await
    }

    /// The client of this server.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The child process.
    pub fn process(&self) -> &ServerProcess {
        &self.process
    }

    /// The llama.cpp that runs.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The model that is loaded.
    pub fn model(&self) -> &LocalModel {
        &self.model
    }

    /// Stops the server: it may finish what it does for a moment, then it is killed.
    pub async fn stop_server(self) {
        // A blocking thread that cannot be had leaves the stop to `Drop`.
        drop(tokio::task::spawn_blocking(move || self.process.stop(STOP_GRACE)).await);
    }
}

/// Runs domain code, which is synchronous, beside the async runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Cause> + Send + 'static,
) -> Result<T, Error> {
    Ok(tokio::task::spawn_blocking(work)
        .await
        .map_err(Cause::Task)??)
}

/// A manager shared by an engine and its streams.
pub(crate) type SharedServer = Arc<ServerManager>;
