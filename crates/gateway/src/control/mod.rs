//! The socket by which other programs of this home find a gateway: `llt ps`, `llt stop`,
//! `llt keys`.
//!
//! It lies in the user's private runtime folder, under a name that tells the home. Whoever can
//! open it may do what the user may: no key is asked for.

mod chat;
mod client;
mod models;
mod routes;

pub use chat::{AskChat, launch_of};
pub use client::{Answering, Running, Said, running};

use crate::GatewayError;
use crate::door::Listener;
use llamatelemetry::server::runtime_folder;
use llamatelemetry_settings::{Environment, Home, Settings};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;

pub(crate) use routes::routes;

/// Where the paths of the socket begin; all others are the models'.
const STATUS: &str = "/control/status";
const STOP: &str = "/control/stop";
const RELOAD: &str = "/control/reload";
const CHAT: &str = "/control/chat";

/// One `llt serve`, as it tells of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Where clients reach it; `None` if they do not.
    pub url: Option<String>,
    /// When it began, s since 1970.
    pub started: u64,
    /// Seconds until it ends by itself if nobody asks; `None`: it does not.
    pub ends_s: Option<f64>,
    /// Its models, in the order in which they were named.
    pub models: Vec<ModelStatus>,
}

/// One model of it. What is not known is `None`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelStatus {
    /// The name it is served under.
    pub name: String,
    /// `unloaded`, `loading`, `ready`, `unloading` or `failed`.
    pub state: Option<String>,
    /// Requests that are worked on.
    pub in_flight: Option<u64>,
    /// Requests that wait for a slot.
    pub waiting: Option<u64>,
    /// Slots.
    pub slots: Option<u64>,
    /// Bytes that it takes.
    pub memory_bytes: Option<u64>,
    /// Processes that serve it.
    pub pids: Vec<u32>,
}

/// What the socket was told, for whoever owns the gateway.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) end: Notify,
    pub(crate) reload: Notify,
    pub(crate) url: Option<String>,
    /// [`launch_of`] the settings that its models are started with.
    launch: String,
    /// Models that a table of their own in the config file starts in another way.
    tables: BTreeSet<String>,
    started: u64,
}

impl Told {
    pub(crate) fn new(url: Option<String>, settings: &Settings) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            end: Notify::new(),
            reload: Notify::new(),
            url,
            launch: launch_of(settings),
            tables: settings.serve.models.keys().cloned().collect(),
            started: now.unwrap_or(Duration::ZERO).as_secs(),
        }
    }
}

/// Makes this gateway's socket.
pub(crate) fn listen(home: &Home, environment: &Environment) -> Result<Listener, GatewayError> {
    static GATEWAYS: AtomicU32 = AtomicU32::new(0);
    let number = GATEWAYS.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}{:x}-{number:x}.sock", prefix(home), std::process::id());
    Listener::unix(&folder(environment)?.join(name))
}

fn folder(environment: &Environment) -> Result<PathBuf, GatewayError> {
    runtime_folder(environment).map_err(|error| GatewayError::Socket {
        path: PathBuf::from("the runtime folder"),
        source: io::Error::other(error),
    })
}

/// What the names of a home's sockets begin with.
fn prefix(home: &Home) -> String {
    // One home may be named in several ways.
    let root = home.root();
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
    let mut name = "serve-".to_owned();
    for byte in digest.iter().take(6) {
        // Writing to a String cannot fail.
        write!(name, "{byte:02x}").unwrap_or_default();
    }
    name.push('-');
    name
}

/// The sockets of a home, alive or not.
fn sockets(home: &Home, environment: &Environment) -> Result<Vec<PathBuf>, GatewayError> {
    let folder = folder(environment)?;
    let prefix = prefix(home);
    let is_of_home = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        path.extension().is_some_and(|kind| kind == "sock")
            && name.is_some_and(|name| name.starts_with(&prefix))
    };
    let mut found: Vec<PathBuf> = std::fs::read_dir(&folder)
        .map_err(|source| GatewayError::Socket {
            path: folder.clone(),
            source,
        })?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_of_home(path))
        .collect();
    found.sort();
    Ok(found)
}
