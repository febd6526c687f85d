//! What the libraries log, on stderr, above the bars.

use crate::progress::Screen;
use llamatelemetry::LogTap;
use llamatelemetry_settings::Environment;
use std::io;
use std::sync::Arc;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// Starts logging: `LLAMATELEMETRY_LOG`, else by how often `-v` was typed. llama-server's own lines
/// come at the second `-v`: when a server fails, its last lines are told anyway. What is returned
/// gives the same events to telemetry, once that is set up and wants them.
pub(crate) fn start(
    verbose: u8,
    environment: &Environment,
    screen: &Arc<Screen>,
    colour: bool,
) -> anyhow::Result<LogTap> {
    let filter = match (environment.get("LLAMATELEMETRY_LOG"), verbose) {
        (Some(filter), _) => EnvFilter::try_new(filter)
            .map_err(|error| crate::outcome::Usage::new(format!("LLAMATELEMETRY_LOG: {error}")))?,
        // Who asked for a line a request is shown them.
        (None, 0) => EnvFilter::new("off,llamatelemetry_gateway::access=info"),
        (None, 1) => EnvFilter::new("info,llama_server=off"),
        (None, 2) => EnvFilter::new("debug,hyper=info"),
        (None, _) => EnvFilter::new("trace"),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(colour)
        .with_writer(Lines(screen.clone()))
        .with_filter(filter);
    let tap = LogTap::default();
    tracing_subscriber::registry()
        .with(lines)
        .with(tap.layer())
        .try_init()?;
    Ok(tap)
}

/// Writes whole lines through the screen.
struct Lines(Arc<Screen>);

/// One event's text.
pub(crate) struct Line {
    screen: Arc<Screen>,
    text: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;
    fn make_writer(&'a self) -> Line {
        Line {
            screen: self.0.clone(),
            text: Vec::new(),
        }
    }
}

impl io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        if !self.text.is_empty() {
            self.screen.raw(&String::from_utf8_lossy(&self.text));
            self.text.clear();
        }
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Writing to the screen cannot fail.
        io::Write::flush(self).unwrap_or_default();
    }
}
