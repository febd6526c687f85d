//! The HTTP front of running models.
//!
//! A [`Gateway`] listens, knows the models of its `fleet` and passes every request
//! on to the `llama-server` that serves the model asked for: original bytes in, original bytes out.
//! What it adds stands beside the bytes: a record of each request for telemetry.
//!
//! ```text
//! door ──▶ route ──▶ proxy ──▶ fleet ──▶ llama-server
//!            │
//!            └─ own endpoints
//! receiver ──▶ store
//! ```

mod access;
mod admission;
pub mod control;
mod door;
mod error;
mod fleet;
mod guard;
mod interface;
mod ordered;
mod proxy;
mod receiver;
mod refusal;
mod route;
mod stored;
mod upstream;

pub use error::GatewayError;
pub use guard::{KeyEntry, KeyError, KeyFile, NewKey};

use access::AccessLog;
use admission::Admission;
use control::Told;
use door::{Door, Listener, Listening, Manners, Speaks, Tls};
use fleet::Fleet;
use guard::Guard;
use interface::Feed;
use llamatelemetry::LoadOptions;
use llamatelemetry_settings::Settings;
use llamatelemetry_telemetry::{StoreConfig, Telemetry};
use proxy::Records;
use receiver::Receiver;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use stored::Stored;
use upstream::Upstream;

/// After their requests were cut off, records are waited for so long.
const RECORD_PATIENCE: Duration = Duration::from_secs(5);

/// What to serve and how.
#[derive(Debug, Clone)]
pub struct ServePlan {
    /// The models, by any name that the SDK takes.
    pub models: Vec<String>,
    /// Settings, progress and sink, as for one model.
    pub options: LoadOptions,
    /// The pipeline behind the sink, for whoever asks what it counts and sees; `None`: nobody is
    /// told.
    pub telemetry: Option<Arc<Telemetry>>,
}

/// A running gateway. Dropping it closes the door and stops the models; [`Gateway::drain`] lets
/// requests in flight finish first.
#[derive(Debug)]
pub struct Gateway {
    door: Door,
    receiver: Option<Receiver>,
    tls: Option<Arc<Tls>>,
    /// The socket by which programs of this home find it, or why there is none.
    control: Result<Door, GatewayError>,
    shared: Arc<Shared>,
}

/// What every request of one gateway has to work with.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) guard: Guard,
    /// The store of this home; `None` where nothing is to be stored.
    pub(crate) stored: Option<Arc<Stored>>,
    pub(crate) records: Records,
    pub(crate) admission: Admission,
    pub(crate) access_log: AccessLog,
    pub(crate) told: Told,
    /// Asked for what is not served here.
    pub(crate) upstream: Option<Arc<Upstream>>,
    /// What happens now.
    pub(crate) feed: Arc<Feed>,
    pub(crate) telemetry: Option<Arc<Telemetry>>,
    pub(crate) started: Instant,
    /// No more requests are taken.
    pub(crate) draining: AtomicBool,
}

impl Gateway {
    /// Listens first, so that a taken port fails at once, then loads the models.
    pub async fn start(mut plan: ServePlan) -> Result<Self, GatewayError> {
        let feed = Arc::new(Feed::new(plan.options.sink.clone()));
        plan.options.sink = feed.clone();
        let serve = &plan.options.settings.serve;
        let tls = Tls::read(serve)?;
        let (listener, guard) = listen(&plan.options.settings).await?;
        let upstream = match &serve.upstream {
            Some(url) => Some(Arc::new(Upstream::find(url).await?)),
            None => None,
        };
        let stored = StoreConfig::read(&plan.options.settings).map(Stored::new);
        let fleet = Fleet::start(&plan.models, &plan.options).await?;
        let shared = Arc::new(Shared {
            fleet,
            guard,
            stored: stored.map(Arc::new),
            records: Records {
                sink: plan.options.sink.clone(),
                content: plan.options.settings.telemetry.captures_content(),
            },
            admission: Admission::new(serve),
            access_log: AccessLog::new(serve.access_log),
            told: Told::new(Some(url(&listener, tls.is_some())?), &plan.options.settings),
            upstream,
            feed,
            telemetry: plan.telemetry,
            started: Instant::now(),
            draining: AtomicBool::new(false),
        });
        let receiver = Receiver::start(serve, &shared).await;
        let control = control::listen(
            &plan.options.settings.home,
            &plan.options.settings.environment,
        )
        .and_then(|listener| {
            let manners = Manners::new(Speaks::Http1, None, serve);
            Door::open(
                listener,
                control::routes(shared.clone(), serve.body_limit.0),
                manners,
            )
        });
        let manners = Manners::new(Speaks::Http1, tls.clone(), serve);
        let door = Door::open(listener, route::routes(shared.clone()), manners)?;
        Ok(Self {
            door,
            receiver,
            tls,
            control,
            shared,
        })
    }

    /// Where it listens over TCP; a port of no address, 0, where it listens on a Unix socket.
    pub fn address(&self) -> SocketAddr {
        let none = SocketAddr::from(([0, 0, 0, 0], 0));
        self.door.address().unwrap_or(none)
    }

    /// Where it listens, as a client names it: `http://127.0.0.1:8080`, `unix:/run/llt.sock`.
    pub fn url(&self) -> String {
        self.shared.told.url.clone().unwrap_or_default()
    }

    /// Waits until another program of this home has it end: then [`drain`](Self::drain) it.
    pub async fn told_to_end(&self) {
        self.shared.told.end.notified().await;
    }

    /// Waits until another program of this home has it [`reload`](Self::reload).
    pub async fn told_to_reload(&self) {
        self.shared.told.reload.notified().await;
    }

    /// Takes the rules of new settings: keys, hosts, origins, limits, certificate. Where it listens
    /// stays. What is wrong with keys or certificate leaves everything as it was.
    pub fn reload(&self, settings: &Settings) -> Result<(), GatewayError> {
        let rules = self.shared.guard.read(settings)?;
        // Whether TLS is spoken at all was settled when the door opened.
        if let Some(tls) = &self.tls
            && let Some(read) = Tls::read(&settings.serve)?
        {
            tls.take(&read);
        }
        self.shared.guard.take(rules);
        self.shared.access_log.set(settings.serve.access_log);
        self.shared.admission.reload(&settings.serve);
        Ok(())
    }

    /// Where it takes OTLP over HTTP.
    pub fn otlp_http(&self) -> Option<SocketAddr> {
        self.receiver.as_ref().and_then(Receiver::http)
    }

    /// Where it takes OTLP over gRPC.
    pub fn otlp_grpc(&self) -> Option<SocketAddr> {
        self.receiver.as_ref().and_then(Receiver::grpc)
    }

    /// What was asked for and is not there, and why.
    pub fn notices(&self) -> Vec<String> {
        let mut notices = match &self.receiver {
            Some(receiver) => receiver.notices().to_vec(),
            None => vec!["telemetry.store is off: OTLP is not received".to_owned()],
        };
        if let Err(error) = &self.control {
            notices.push(format!("`llt ps` and `llt stop` will not find it: {error}"));
        }
        notices
    }

    /// Takes no new requests, waits at most so long for those in flight, cuts off the others, then
    /// stops the models. Each request has left its record by then.
    pub async fn drain(self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let Self {
            door,
            receiver,
            control,
            shared,
            tls: _,
        } = self;
        shared.draining.store(true, Ordering::Release);
        // Who listens to events would hold the door open.
        shared.feed.close();
        let control = async {
            if let Ok(control) = control {
                control.close(deadline).await;
            }
        };
        let receiver = async {
            if let Some(receiver) = receiver {
                receiver.close(deadline).await;
            }
        };
        tokio::join!(door.close(deadline), control, receiver);
        // The records of those that were cut off wait for their servers' last word on them.
        if tokio::time::timeout(RECORD_PATIENCE, shared.feed.all_told())
            .await
            .is_err()
        {
            tracing::warn!("a request that was cut off has left no record in time");
        }
        shared.fleet.clone().stop().await;
    }
}

/// Takes the place to listen on. What strangers can reach is not opened without a key.
async fn listen(settings: &Settings) -> Result<(Listener, Guard), GatewayError> {
    let serve = &settings.serve;
    if let Some(path) = &serve.socket {
        let guard = Guard::new(None, settings)?;
        return Ok((Listener::unix(path)?, guard));
    }
    let address = SocketAddr::new(serve.host, serve.port);
    let guard = Guard::new(Some(serve.host), settings)?;
    if !address.ip().is_loopback() && !guard.has_keys() {
        return Err(GatewayError::PublicWithoutKey { address });
    }
    Ok((Listener::tcp(address).await?, guard))
}

/// Where it listens, as a client names it.
fn url(listener: &Listener, tls: bool) -> Result<String, GatewayError> {
    Ok(match listener.listening()? {
        Listening::Tcp(address) if tls => format!("https://{address}"),
        Listening::Tcp(address) => format!("http://{address}"),
        socket @ Listening::Unix(_) => socket.to_string(),
    })
}
