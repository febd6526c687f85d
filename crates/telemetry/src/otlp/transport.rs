//! One attempt to hand a payload to the collector over HTTP.

use crate::TelemetryError;
use crate::config::{Compression, Encoding, Identity, OtlpConfig};
use flate2::write::GzEncoder;
use llamatelemetry_network::{Proxies, roots};
use llamatelemetry_settings::Environment;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use serde::Deserialize;
use std::borrow::Cow;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;
use ureq::Agent;
use ureq::http::header::{
    CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

const USER_AGENT: &str = concat!("llamatelemetry/", env!("CARGO_PKG_VERSION"));

/// An answer says little; more of it than this is not read, bytes.
const ANSWER_LIMIT: u64 = 64 << 10;

/// A collector that asks for a longer pause is asked again after this one.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// A connection to the collector, kept open between payloads.
#[derive(Debug)]
pub(super) struct Transport {
    agent: Agent,
    headers: HeaderMap,
    config: OtlpConfig,
}

/// The collector took the payload.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Items that it did not take after all.
    pub(super) rejected: u64,
    /// Why not.
    pub(super) message: String,
}

/// The collector did not take the payload.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Why not, without anything secret.
    pub(super) reason: String,
    pub(super) again: Again,
}

/// Whether another attempt may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    Never,
    Later,
    /// Only if less is sent at once.
    Smaller,
    /// The collector said when.
    After(Duration),
}

impl Transport {
    /// `environment` names proxies and certificates, as for everything else that goes out.
    pub(super) fn new(
        config: OtlpConfig,
        environment: &Environment,
    ) -> Result<Self, TelemetryError> {
        let tls = TlsConfig::builder();
        let tls = match &config.certificate {
            Some(path) => tls.root_certs(RootCerts::new_with_certs(&certificates(path)?)),
            None if config.endpoint.is_secure() => tls.root_certs(roots(environment)?),
            None => tls,
        };
        let identity = config.identity.as_ref().map(client).transpose()?;
        let proxies = Proxies::from_environment(environment)?;
        let agent = Agent::config_builder()
            .tls_config(tls.client_cert(identity).build())
            .http_status_as_error(false)
            // Headers hold keys, which are for the named host only.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // `None` too: else the agent would read the process environment by itself.
            .proxy(proxies.for_uri(config.endpoint.uri()).cloned())
            .user_agent(USER_AGENT);
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            if let Ok(mut value) = HeaderValue::from_str(value.expose()) {
                value.set_sensitive(true);
                headers.insert(name.clone(), value);
            }
        }
        let content_type = match config.encoding {
            Encoding::Protobuf => "application/x-protobuf",
            Encoding::Json => "application/json",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if config.compression == Compression::Gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(Self {
            agent: agent.build().new_agent(),
            headers,
            config,
        })
    }

    pub(super) fn config(&self) -> &OtlpConfig {
        &self.config
    }

    /// Sends a payload and waits for the answer, for at most this long.
    pub(super) fn send(&self, body: &[u8], limit: Duration) -> Result<Answer, Refusal> {
        let body = self.compressed(body)?;
        let mut request = self
            .agent
            .post(self.config.endpoint.uri())
            .config()
            .timeout_global(Some(limit))
            .build();
        if let Some(headers) = request.headers_mut() {
            let all: Vec<(&HeaderName, &HeaderValue)> = self.headers.iter().collect();
            headers.extend(
                all.into_iter()
                    .map(|(name, value)| (name.clone(), value.clone())),
            );
        }
        let mut response = request.send(&body[..]).map_err(|error| Refusal {
            again: match error {
                ureq::Error::BadUri(_) | ureq::Error::Tls(_) => Again::Never,
                _ => Again::Later,
            },
            reason: error.to_string(),
        })?;
        let status = response.status();
        if !status.is_success() {
            let retry_after = response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.trim().parse().ok())
                .map(Duration::from_secs)
                .map(|time| time.min(LONGEST_PAUSE));
            return Err(Refusal {
                reason: format!("the collector answered with status {}", status.as_u16()),
                again: match (status.as_u16(), retry_after) {
                    (429 | 502 | 503 | 504, Some(time)) => Again::After(time),
                    (429 | 502 | 503 | 504, None) => Again::Later,
                    (413, _) => Again::Smaller,
                    _ => Again::Never,
                },
            });
        }
        // The payload is delivered, whatever becomes of the answer's body.
        let body = response
            .body_mut()
            .with_config()
            .limit(ANSWER_LIMIT)
            .read_to_vec()
            .unwrap_or_default();
        Ok(self.answer(&body))
    }

    fn compressed<'a>(&self, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Refusal> {
        match self.config.compression {
            Compression::None => Ok(Cow::Borrowed(body)),
            Compression::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder
                    .write_all(body)
                    .and_then(|()| encoder.finish())
                    .map(Cow::Owned)
                    .map_err(|error| Refusal {
                        reason: error.to_string(),
                        again: Again::Never,
                    })
            }
        }
    }

    fn answer(&self, body: &[u8]) -> Answer {
        match self.config.encoding {
            // The answers to all three signals have the same fields under different names.
            Encoding::Protobuf => ExportTraceServiceResponse::decode(body)
                .unwrap_or_default()
                .partial_success
                .map(|partial| Answer {
                    rejected: u64::try_from(partial.rejected_spans).unwrap_or(0),
                    message: partial.error_message,
                })
                .unwrap_or_default(),
            Encoding::Json => serde_json::from_slice::<JsonAnswer>(body)
                .unwrap_or_default()
                .partial_success
                .map(|partial| Answer {
                    rejected: partial.rejected.map_or(0, Integer::count),
                    message: partial.error_message,
                })
                .unwrap_or_default(),
        }
    }
}

/// The answer to an export request of any signal, as JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JsonAnswer {
    partial_success: Option<JsonPartialSuccess>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct JsonPartialSuccess {
    #[serde(
        alias = "rejectedSpans",
        alias = "rejectedDataPoints",
        alias = "rejectedLogRecords"
    )]
    rejected: Option<Integer>,
    error_message: String,
}

/// A 64-bit integer: a string in JSON made from protobuf, a number elsewhere.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Integer {
    Number(u64),
    Text(String),
}

impl Integer {
    fn count(self) -> u64 {
        match self {
            Self::Number(count) => count,
            Self::Text(text) => text.parse().unwrap_or(0),
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, TelemetryError> {
    let certificates: Vec<_> = parse_pem(&read(path)?)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(TelemetryError::NotPem { path: path.into() });
    }
    Ok(certificates)
}

fn client(identity: &Identity) -> Result<ClientCert, TelemetryError> {
    let chain = certificates(&identity.certificate)?;
    let key =
        PrivateKey::from_pem(&read(&identity.key)?).map_err(|_not_pem| TelemetryError::NotPem {
            path: identity.key.clone(),
        })?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

fn read(path: &Path) -> Result<Vec<u8>, TelemetryError> {
    std::fs::read(path).map_err(|source| TelemetryError::Certificate {
        path: path.into(),
        source,
    })
}
