//! The manager's server as whoever counts sees it.

use llamatelemetry_api::blocking::Client;
use llamatelemetry_record::{ContextPool, ServedModel};
use llamatelemetry_server::{Supervisor, SupervisorView};
use llamatelemetry_settings::ServerSettings;
use std::io;

/// One server with its model. It keeps nothing alive: a server that is stopped is just not there.
#[derive(Debug)]
pub(crate) struct ServedServer {
    model: String,
    server: SupervisorView,
    may_sleep: bool,
    context: ContextPool,
}

impl ServedServer {
    pub(crate) fn new(model: &str, supervisor: &Supervisor, settings: &ServerSettings) -> Self {
        Self {
            model: model.to_owned(),
            server: supervisor.view(),
            may_sleep: given(settings, &["--sleep-idle-seconds"]),
            context: context(settings),
        }
    }
}

/// How llama-server lays its context out, by its command line: without a number of slots it makes
/// four that share one pool, with one each gets its own part. Beyond one slot's context nothing
/// tells how large a shared pool is but the flag that sets it, rounded up to 256.
fn context(settings: &ServerSettings) -> ContextPool {
    if given(
        settings,
        &[
            "--no-kv-unified",
            "-no-kvu",
            "--kv-unified-per-slot",
            "-c",
            "--ctx-size",
        ],
    ) {
        return ContextPool::Unknown;
    }
    let slots = settings.parallel.is_some() || given(settings, &["-np", "--parallel"]);
    let unified = given(settings, &["-kvu", "--kv-unified"]);
    match settings.context {
        _ if slots && !unified => ContextPool::PerSlot,
        // Zero leaves it to the model.
        Some(tokens) if tokens > 0 => ContextPool::Shared(u64::from(tokens).next_multiple_of(256)),
        _ => ContextPool::SharedWhole,
    }
}

/// Whether one of these flags is among the user's own arguments.
fn given(settings: &ServerSettings, flags: &[&str]) -> bool {
    settings.extra_args.iter().any(|argument| {
        let name = argument.split('=').next().unwrap_or_default();
        flags.contains(&name)
    })
}

impl ServedModel for ServedServer {
    fn model(&self) -> &str {
        &self.model
    }

    fn run(&self) -> Option<u64> {
        self.pid().map(u64::from)
    }

    fn pid(&self) -> Option<u32> {
        Some(self.server.current()?.pid())
    }

    fn may_sleep(&self) -> bool {
        self.may_sleep
    }

    fn context(&self) -> ContextPool {
        self.context
    }

    fn get(&self, path: &str) -> io::Result<Vec<u8>> {
        let server = self.server.current().ok_or(io::ErrorKind::NotConnected)?;
        let (address, key) = (server.address().clone(), server.key().cloned());
        // Asking may take long, and whoever stops the server must not wait for it.
        drop(server);
        let client = Client::new(address, key).map_err(io::Error::other)?;
        let body = client.get(path).map_err(io::Error::other)?;
        Ok(body.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_is_what_the_command_line_makes() {
        let settings = |parallel, context, extra: &[&str]| ServerSettings {
            parallel,
            context,
            extra_args: extra
                .iter()
                .map(|argument| (*argument).to_owned())
                .collect(),
            ..ServerSettings::default()
        };
        for (settings, expected) in [
            (settings(None, None, &[]), ContextPool::SharedWhole),
            (settings(None, Some(1000), &[]), ContextPool::Shared(1024)),
            (settings(Some(2), Some(1000), &[]), ContextPool::PerSlot),
            (
                settings(Some(2), Some(1024), &["-kvu"]),
                ContextPool::Shared(1024),
            ),
            (
                settings(None, None, &["--kv-unified-per-slot=512"]),
                ContextPool::Unknown,
            ),
        ] {
            assert_eq!(context(&settings), expected);
        }
    }
}
