//! Who may come in: `Host`, `Origin`, API keys. One layer over all routes.
//!
//! Behind it nothing sees a key: the headers that carry one are taken off the request, and what
//! stays is the [`Principal`]. Liveness and health are told without a key to whoever asks from this
//! machine, so that a supervisor needs no secret; from elsewhere a key is needed for those too.

mod host;
mod key_file;
mod keys;
mod origin;
mod principal;

pub use key_file::{KeyEntry, KeyError, KeyFile, NewKey};
pub(crate) use keys::Key;
pub(crate) use principal::Principal;

use crate::Shared;
use crate::door::Peer;
use crate::ordered;
use crate::refusal::{Dialect, Refusal};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use host::Hosts;
use http::{HeaderValue, StatusCode, header};
use keys::{Asked, KeyRing, X_API_KEY};
use llamatelemetry_settings::Settings;
use origin::{Caller, Origins};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

/// What is told without a key to who asks from this machine.
const OPEN_AT_HOME: [&str; 4] = ["/livez", "/readyz", "/health", "/v1/health"];

/// Who may come in.
#[derive(Debug)]
pub(crate) struct Guard {
    listening: Option<IpAddr>,
    rules: RwLock<Arc<Rules>>,
}

/// What may come in now.
#[derive(Debug)]
pub(crate) struct Rules {
    hosts: Hosts,
    origins: Origins,
    keys: KeyRing,
}

impl Rules {
    fn load(listening: Option<IpAddr>, settings: &Settings) -> Result<Self, KeyError> {
        Ok(Self {
            hosts: Hosts::new(listening, &settings.serve.hosts),
            origins: Origins::new(&settings.serve.cors_origins),
            keys: KeyRing::load(settings)?,
        })
    }
}

impl Guard {
    /// The rules of these settings, for a door at this address; `None`: a Unix socket.
    pub(crate) fn new(listening: Option<IpAddr>, settings: &Settings) -> Result<Self, KeyError> {
        Ok(Self {
            listening,
            rules: RwLock::new(Arc::new(Rules::load(listening, settings)?)),
        })
    }

    /// Whether somebody with a key, and nobody else, can come in.
    pub(crate) fn has_keys(&self) -> bool {
        let rules = self.rules();
        rules.keys.needed() && !rules.keys.is_empty()
    }

    /// The rules of new settings, to [`take`](Self::take) once nothing else is wrong with these.
    pub(crate) fn read(&self, settings: &Settings) -> Result<Rules, KeyError> {
        let mut rules = Rules::load(self.listening, settings)?;
        if self.rules().keys.needed() {
            rules.keys.need();
        }
        Ok(rules)
    }

    /// Judges by these rules from now on.
    pub(crate) fn take(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    fn rules(&self) -> Arc<Rules> {
        self.rules
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Lets a request in, or refuses it.
pub(crate) async fn check(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let rules = shared.guard.rules();
    let dialect = Dialect::of_path(request.uri().path());
    let caller = match rules.caller(&request) {
        Ok(caller) => caller,
        Err(refusal) => return refusal.respond(dialect),
    };
    let preflight = caller.preflight(request.method(), request.headers());
    let (mut response, answered_here) = if let Some(told) = preflight {
        (told, true)
    } else {
        match rules.principal(&request) {
            Ok(principal) => {
                let headers = request.headers_mut();
                if headers.contains_key(header::AUTHORIZATION) || headers.contains_key(X_API_KEY) {
                    *headers = ordered::without(std::mem::take(headers), |name| {
                        name == header::AUTHORIZATION || name == X_API_KEY
                    });
                }
                request.extensions_mut().insert(principal.clone());
                let mut response = next.run(request).await;
                // For the line that is written of it.
                response.extensions_mut().insert(principal);
                (response, false)
            }
            Err(refusal) => {
                let mut response = refusal.respond(dialect);
                let scheme = HeaderValue::from_static("Bearer");
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, scheme);
                (response, true)
            }
        }
    };
    caller.mark(response.headers_mut(), answered_here);
    response
}

impl Rules {
    /// Who calls, from where, by which name.
    fn caller(&self, request: &Request) -> Result<Caller, Refusal> {
        let headers = request.headers();
        // No browser reaches a Unix socket by a name, and every client of one makes its own up.
        if !matches!(peer(request), Peer::Unix) {
            self.hosts
                .check(request.version(), request.uri(), headers)
                .map_err(forbidden)?;
        }
        self.origins.check(headers).map_err(forbidden)
    }

    fn principal(&self, request: &Request) -> Result<Principal, Refusal> {
        let message = match self.keys.ask(request.headers()) {
            Asked::NotNeeded => return Ok(Principal::anyone()),
            Asked::Known(key) => return Ok(Principal::holder_of(key)),
            _ if OPEN_AT_HOME.contains(&request.uri().path()) && peer(request).is_at_home() => {
                return Ok(Principal::anyone());
            }
            Asked::Missing => "an API key is needed: `Authorization: Bearer …` or `x-api-key: …`",
            Asked::Unknown => "this API key is not known",
            Asked::Expired => "the time of this API key is over",
        };
        Err(Refusal::new(
            StatusCode::UNAUTHORIZED,
            "authentication_error",
            message,
        ))
    }
}

/// Where the request came from. One that nobody marked may have come from anywhere.
fn peer(request: &Request) -> Peer {
    request
        .extensions()
        .get()
        .copied()
        .unwrap_or(Peer::Elsewhere)
}

fn forbidden(message: String) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "permission_error", message)
}
