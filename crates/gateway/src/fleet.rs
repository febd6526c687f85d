//! The models that are served.

use crate::GatewayError;
use llamatelemetry::{LiveServer, LoadOptions, ServerManager};
use std::sync::Arc;

/// The models of one gateway.
#[derive(Debug)]
pub(crate) struct Fleet {
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    /// As it was named on the command line.
    name: String,
    server: Arc<ServerManager>,
}

/// The right to use a model's server. While one is held the model is not unloaded.
#[derive(Debug)]
pub(crate) struct Lease {
    server: Arc<ServerManager>,
    run: Arc<LiveServer>,
}

/// Why a request got no server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FleetError {
    #[error("no model is served here")]
    Empty,
    #[error("the model `{model}` is not served here; there is {known}")]
    Unknown { model: String, known: String },
    #[error("{0}")]
    Down(#[from] llamatelemetry::Error),
}

impl Fleet {
    /// Loads the models, one after the other.
    pub(crate) async fn start(
        models: &[String],
        options: &LoadOptions,
    ) -> Result<Self, GatewayError> {
        let mut members = Vec::new();
        for model in models {
            let server = ServerManager::start_server(model, options)
                .await
                .map_err(|source| GatewayError::Model {
                    model: model.clone(),
                    source: Box::new(source),
                })?;
            members.push(Member {
                name: model.clone(),
                server: Arc::new(server),
            });
        }
        Ok(Self { members })
    }

    /// The name that the model is served under which a request names. Where one model is served
    /// it answers to every name, as llama-server does.
    pub(crate) fn name_of(&self, model: Option<&str>) -> Result<String, FleetError> {
        Ok(self.member(model)?.name.clone())
    }

    /// A lease on the model that a request names.
    pub(crate) async fn lease(&self, model: Option<&str>) -> Result<Lease, FleetError> {
        let member = self.member(model)?;
        let run = member.server.live().await?;
        Ok(Lease {
            server: member.server.clone(),
            run,
        })
    }

    fn member(&self, model: Option<&str>) -> Result<&Member, FleetError> {
        let known = |member: &&Member| {
            model.is_some_and(|model| model == member.name || model == member.server.model().name)
        };
        match self.members.as_slice() {
            [] => Err(FleetError::Empty),
            [only] => Ok(only),
            many => many.iter().find(known).ok_or_else(|| FleetError::Unknown {
                model: model.unwrap_or_default().to_owned(),
                known: self.names().join(", "),
            }),
        }
    }

    /// The names of the models.
    pub(crate) fn names(&self) -> Vec<&str> {
        let names = self.members.iter().map(|member| member.name.as_str());
        names.collect()
    }

    /// Stops all of them. Servers that somebody still uses stop when the last lease goes.
    pub(crate) async fn stop(self: Arc<Self>) {
        let Some(fleet) = Arc::into_inner(self) else {
            return;
        };
        for member in fleet.members {
            if let Some(server) = Arc::into_inner(member.server) {
                server.stop_server().await;
            }
        }
    }
}

impl Lease {
    /// The run of the server that is asked.
    pub(crate) fn run(&self) -> &Arc<LiveServer> {
        &self.run
    }

    /// The server over all its runs.
    pub(crate) fn server(&self) -> &Arc<ServerManager> {
        &self.server
    }
}
