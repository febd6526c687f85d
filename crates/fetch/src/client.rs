//! One request and its answer: proxies, trust, redirects, patience.

use crate::FetchError;
use crate::reach::{Chance, Reachability, Trial};
use crate::url::Url;
use llamatelemetry_network::{Proxies, roots};
use llamatelemetry_settings::{Environment, Secret, Settings};
use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use ureq::http::{Method, Request, Response};
use ureq::{Agent, Body};

/// How patient a fetcher is with hosts that have answered before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long a connection may stay without a byte, or a request without an answer.
    pub stall: Duration,
    /// How often something is tried without any progress in between.
    pub attempts: u32,
    /// The pause after the first failure; it doubles each time, up to 8 s.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(30),
            attempts: 5,
            pause: Duration::from_millis(250),
        }
    }
}

impl Patience {
    /// The pause after so many failures in a row.
    pub(crate) fn after(&self, failures: u32) -> Duration {
        const LONGEST: Duration = Duration::from_secs(8);
        let doubled = 1_u32
            .checked_shl(failures.saturating_sub(1))
            .unwrap_or(u32::MAX);
        self.pause.saturating_mul(doubled).min(LONGEST)
    }
}

/// How long a connection to a host that has answered before may take.
const CONNECT: Duration = Duration::from_secs(10);
/// Redirects in a row at most.
const REDIRECTS: usize = 10;
/// How often a host that drops the very first request is tried again.
const TRIAL_DROPS: u32 = 2;

/// Which redirects are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirects {
    All,
    /// Only those that stay on the host; another one is the answer.
    SameHost,
}

/// A request.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// What is wanted.
    pub(crate) url: &'a Url,
    /// Where earlier redirects from `url` led, to save them.
    pub(crate) start: Option<&'a Url>,
    /// Sent to the host of `url` only.
    pub(crate) secret_headers: &'a [(String, Secret)],
    /// Sent to every host.
    pub(crate) headers: &'a [(&'static str, String)],
    pub(crate) redirects: Redirects,
}

/// An answer whose body is still to be read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response<Body>,
    /// Where it came from, after redirects.
    pub(crate) url: Url,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Trying again would not help.
    Final(FetchError),
    /// It may well work the next time.
    Passing(String),
}

pub(crate) struct Client {
    offline: bool,
    give_up_after: Duration,
    connections: usize,
    environment: Environment,
    proxies: Proxies,
    pub(crate) patience: Patience,
    pub(crate) reach: Arc<Reachability>,
    /// By proxy (its address may hold a password, so this map is never shown) and by whether
    /// certificates are needed: those are read only when they are.
    agents: Mutex<BTreeMap<(Option<String>, bool), Agent>>,
}

impl Client {
    pub(crate) fn new(settings: &Settings) -> Result<Self, FetchError> {
        Ok(Self {
            offline: settings.network.offline,
            give_up_after: settings.network.give_up_after,
            connections: settings.network.connections.max(1),
            environment: settings.environment.clone(),
            proxies: Proxies::from_environment(&settings.environment)?,
            patience: Patience::default(),
            reach: Reachability::of_process(&settings.home),
            agents: Mutex::default(),
        })
    }

    /// Connections for one download at most.
    pub(crate) fn connections(&self) -> usize {
        self.connections
    }

    /// Asks, follows redirects, and returns the first answer that is none.
    pub(crate) fn send(&self, ask: &Ask<'_>) -> Result<Answer, Trouble> {
        if self.offline {
            return Err(Trouble::Final(FetchError::Offline {
                url: ask.url.to_string(),
            }));
        }
        let mut url = ask.start.unwrap_or(ask.url).clone();
        for _ in 0..=REDIRECTS {
            let response = self.exchange(ask, &url)?;
            let answer = Answer { response, url };
            let location = match answer.status() {
                301 | 302 | 303 | 307 | 308 => answer.header("location"),
                _ => None,
            };
            let Some(location) = location else {
                return Ok(answer);
            };
            let next = answer.url.join(location).map_err(Trouble::Final)?;
            if ask.redirects == Redirects::SameHost && !answer.url.shares_secrets_with(&next) {
                return Ok(answer);
            }
            if answer.url.scheme() == "https" && next.scheme() == "http" {
                return Err(nonsense(&answer.url, "it redirects from https to http"));
            }
            tracing::debug!(from = %answer.url, to = %next, "redirected");
            url = next;
        }
        Err(nonsense(
            ask.url,
            &format!("it redirects more than {REDIRECTS} times"),
        ))
    }

    fn exchange(&self, ask: &Ask<'_>, url: &Url) -> Result<Response<Body>, Trouble> {
        let host = url.host_and_port();
        let unreachable = |reason: String| {
            Trouble::Final(FetchError::Unreachable {
                host: host.clone(),
                reason,
                url: ask.url.to_string(),
            })
        };
        let agent = self.agent(url).map_err(Trouble::Final)?;
        let request = || self.request(&agent, ask, url, None);
        match self.reach.chance(&host, self.give_up_after) {
            Chance::None { reason } => Err(unreachable(reason)),
            Chance::Known => match agent.run(request()?) {
                Ok(response) => Ok(response),
                Err(error) if is_final(&error) => Err(unreachable(reason(&error))),
                Err(error) => Err(Trouble::Passing(reason(&error))),
            },
            Chance::Trial(trial) => self.try_host(ask, url, &agent, trial, &unreachable),
        }
    }

    /// The first request to a host. It runs on a thread of its own, because neither a hanging
    /// name resolution nor a silent server may hold the caller beyond the deadline.
    fn try_host(
        &self,
        ask: &Ask<'_>,
        url: &Url,
        agent: &Agent,
        trial: Trial,
        unreachable: &dyn Fn(String) -> Trouble,
    ) -> Result<Response<Body>, Trouble> {
        let mut drops = 0;
        loop {
            let left = trial.deadline.saturating_duration_since(Instant::now());
            let request = self.request(agent, ask, url, Some(left))?;
            let (answer, answered) = sync_channel(1);
            let agent = agent.clone();
            std::thread::Builder::new()
                .name("fetch-trial".to_owned())
                .spawn(move || {
                    // Nobody listens any more once the deadline has passed.
                    let _late = answer.send(agent.run(request));
                })
                .map_err(|error| unreachable(format!("no thread could be started: {error}")))?;
            let why = match answered.recv_timeout(left) {
                Ok(Ok(response)) => {
                    trial.answered();
                    return Ok(response);
                }
                Ok(Err(error)) if was_dropped(&error) && drops < TRIAL_DROPS => {
                    drops += 1;
                    std::thread::sleep(self.patience.pause.min(left));
                    continue;
                }
                Ok(Err(error)) => reason(&error),
                Err(RecvTimeoutError::Timeout) => {
                    format!("no answer within {:.1} s", left.as_secs_f64())
                }
                Err(RecvTimeoutError::Disconnected) => "the request was lost".to_owned(),
            };
            trial.failed(&why);
            return Err(unreachable(why));
        }
    }

    fn request(
        &self,
        agent: &Agent,
        ask: &Ask<'_>,
        url: &Url,
        within: Option<Duration>,
    ) -> Result<Request<()>, Trouble> {
        let mut builder = Request::builder()
            .method(ask.method.clone())
            .uri(url.uri().clone())
            // Ranges and digests are about the bytes as they are stored.
            .header("accept-encoding", "identity");
        for (name, value) in ask.headers {
            builder = builder.header(*name, value);
        }
        if ask.url.shares_secrets_with(url) {
            for (name, value) in ask.secret_headers {
                builder = builder.header(name, value.expose());
            }
        }
        let request = builder.body(()).map_err(|_header| {
            Trouble::Final(FetchError::Url {
                reason: "a header for it has characters that cannot be sent".to_owned(),
                url: url.to_string(),
            })
        })?;
        let config = agent.configure_request(request);
        let config = match within {
            Some(left) => config
                .timeout_resolve(Some(left))
                .timeout_connect(Some(left))
                .timeout_recv_response(Some(left)),
            None => config
                .timeout_resolve(Some(CONNECT))
                .timeout_connect(Some(CONNECT))
                .timeout_recv_response(Some(self.patience.stall)),
        };
        Ok(config
            // A trial ends by its own deadline.
            .timeout_per_read(Some(self.patience.stall.max(within.unwrap_or_default())))
            .timeout_per_write(Some(self.patience.stall))
            .build())
    }

    fn agent(&self, url: &Url) -> Result<Agent, FetchError> {
        let proxy = self.proxies.for_uri(url.uri());
        let secure = url.scheme() == "https"
            || proxy.is_some_and(|proxy| proxy.protocol() == ureq::ProxyProtocol::Https);
        let key = (proxy.map(|proxy| proxy.uri().to_string()), secure);
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(proxy.cloned())
            .user_agent(concat!("llamatelemetry/", env!("CARGO_PKG_VERSION")))
            .input_buffer_size(64 << 10)
            .max_idle_connections(2 * self.connections + 2)
            .max_idle_connections_per_host(self.connections + 1);
        if secure {
            let roots = roots(&self.environment)?;
            let tls = ureq::tls::TlsConfig::builder().root_certs(roots).build();
            config = config.tls_config(tls);
        }
        let agent = config.build().new_agent();
        agents.insert(key, agent.clone());
        Ok(agent)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("offline", &self.offline)
            .field("give_up_after", &self.give_up_after)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

pub(crate) fn nonsense(url: &Url, reason: &str) -> Trouble {
    Trouble::Final(FetchError::Protocol {
        reason: reason.to_owned(),
        url: url.to_string(),
    })
}

/// Whether the same request would fail the same way again.
fn is_final(error: &ureq::Error) -> bool {
    match error {
        // A certificate that is not trusted arrives as one or the other.
        ureq::Error::Io(error) => error.kind() == io::ErrorKind::InvalidData,
        ureq::Error::Rustls(_)
        | ureq::Error::Tls(_)
        | ureq::Error::Pem(_)
        | ureq::Error::TlsRequired
        | ureq::Error::BadUri(_)
        | ureq::Error::Http(_)
        | ureq::Error::InvalidProxyUrl => true,
        _ => false,
    }
}

/// Whether the host took the connection and then dropped it.
fn was_dropped(error: &ureq::Error) -> bool {
    matches!(
        error,
        ureq::Error::Io(error) if matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
        )
    )
}

/// What went wrong, in words that hold no address and no secret.
pub(crate) fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(ureq::Timeout::Resolve) => {
            "its name was not resolved in time".to_owned()
        }
        ureq::Error::Timeout(ureq::Timeout::Connect) => {
            "it did not accept a connection in time".to_owned()
        }
        ureq::Error::Timeout(ureq::Timeout::PerRead) => "the transfer stalled".to_owned(),
        ureq::Error::Timeout(_) => "it did not answer in time".to_owned(),
        ureq::Error::Io(error) => io_reason(error),
        ureq::Error::HostNotFound => "its name is not known".to_owned(),
        ureq::Error::BadUri(_) => "its address is malformed".to_owned(),
        other => other.to_string(),
    }
}

/// The same for an error met while a body was read.
pub(crate) fn io_reason(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(inner) => reason(inner),
        None => error.to_string(),
    }
}
