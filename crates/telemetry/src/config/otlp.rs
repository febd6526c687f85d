//! `OTEL_EXPORTER_OTLP_*`: where a signal is sent and how. The signal's own variables win over the
//! general ones.

use super::reader::{Variables, pairs};
use crate::TelemetryError;
use crate::signal::Signal;
use llamatelemetry_settings::Secret;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use ureq::http::{HeaderName, HeaderValue, Uri};

/// How the payload is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `http/protobuf`, the default.
    Protobuf,
    /// `http/json`.
    Json,
}

/// How the payload is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Not.
    None,
    /// gzip.
    Gzip,
}

/// PEM files of the client's own identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Where a signal is sent and how.
#[derive(Debug, Clone)]
pub(crate) struct OtlpConfig {
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: Vec<(HeaderName, Secret)>,
    pub(crate) encoding: Encoding,
    pub(crate) compression: Compression,
    /// For one export, its retries included.
    pub(crate) timeout: Duration,
    /// PEM file of the certificates that the collector's is checked against.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) identity: Option<Identity>,
}

/// The address that a signal is sent to. Shows itself without user name, password and query.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(Uri);

impl Endpoint {
    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    /// Whether what is sent there is encrypted.
    pub(crate) fn is_secure(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// Whether it is on this machine, where neither a proxy nor being offline matters.
    pub(crate) fn is_here(&self) -> bool {
        let host = self.0.host().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost")
            || address
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self
            .0
            .authority()
            .map_or("", |authority| authority.as_str());
        let host = authority.rsplit('@').next().unwrap_or_default();
        let scheme = self.0.scheme_str().unwrap_or_default();
        write!(f, "{scheme}://{host}{}", self.0.path())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the variables say, before it is known whether the signal is sent at all.
pub(super) struct Asked {
    /// `None` if they ask for a transport that is not there.
    config: Option<OtlpConfig>,
    named: Named,
}

/// Who named the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// Nobody: it is the standard's default.
    Not,
    /// The variable of all signals.
    ForAll,
    /// The signal's own variable.
    Itself,
}

impl Asked {
    /// To the address named, or the standard's default.
    pub(super) fn or_default(self) -> Option<OtlpConfig> {
        self.config
    }

    /// Only if an address is named.
    pub(super) fn if_named(self) -> Option<OtlpConfig> {
        self.config.filter(|_| self.named != Named::Not)
    }

    /// Only if an address is named for this signal alone.
    pub(super) fn if_named_itself(self) -> Option<OtlpConfig> {
        self.config.filter(|_| self.named == Named::Itself)
    }
}

/// The value of the signal's own variable, else of the general one, with its name.
fn either<'a>(
    variables: &mut Variables<'a>,
    [own, general]: [&'static str; 2],
) -> Option<(&'static str, &'a str)> {
    let general_value = variables.text(general);
    match variables.text(own) {
        Some(value) => Some((own, value)),
        None => general_value.map(|value| (general, value)),
    }
}

/// The names of the signal's own variable and of the general one.
macro_rules! names {
    ($signal:expr, $what:literal) => {
        [
            match $signal {
                Signal::Traces => concat!("OTEL_EXPORTER_OTLP_TRACES_", $what),
                Signal::Metrics => concat!("OTEL_EXPORTER_OTLP_METRICS_", $what),
                Signal::Logs => concat!("OTEL_EXPORTER_OTLP_LOGS_", $what),
            },
            concat!("OTEL_EXPORTER_OTLP_", $what),
        ]
    };
}

pub(super) fn read(variables: &mut Variables<'_>, signal: Signal) -> Result<Asked, TelemetryError> {
    let (endpoint, named) = endpoint(variables, signal)?;
    let encoding = encoding(variables, signal);
    let compression = compression(variables, signal);
    let headers = headers(variables, signal);
    let timeout = timeout(variables, signal);
    let mut file = |names| either(variables, names).map(|(_, path)| PathBuf::from(path));
    let certificate = file(names!(signal, "CERTIFICATE"));
    let client_certificate = file(names!(signal, "CLIENT_CERTIFICATE"));
    let client_key = file(names!(signal, "CLIENT_KEY"));
    if client_certificate.is_some() != client_key.is_some() {
        variables.notice(
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY only work together".to_owned(),
        );
    }
    let identity = client_certificate
        .zip(client_key)
        .map(|(certificate, key)| Identity { certificate, key });
    Ok(Asked {
        config: encoding.map(|encoding| OtlpConfig {
            endpoint,
            headers,
            encoding,
            compression,
            timeout,
            certificate,
            identity,
        }),
        named,
    })
}

/// The signal's own address is taken as it stands; to the general one the signal's path is added.
fn endpoint(
    variables: &mut Variables<'_>,
    signal: Signal,
) -> Result<(Endpoint, Named), TelemetryError> {
    const DEFAULT: &str = "http://localhost:4318";
    let [own, general] = names!(signal, "ENDPOINT");
    let (variable, address, named) = match either(variables, [own, general]) {
        Some((name, value)) if name == own => (own, value.to_owned(), Named::Itself),
        named => {
            let base = named.map_or(DEFAULT, |(_, value)| value);
            let address = format!("{}/{}", base.trim_end_matches('/'), signal.path());
            (
                general,
                address,
                named.map_or(Named::Not, |_| Named::ForAll),
            )
        }
    };
    let uri = address
        .parse::<Uri>()
        .map_err(|source| TelemetryError::Endpoint {
            variable,
            source: Some(source),
        })?;
    let http = matches!(uri.scheme_str(), Some("http" | "https"));
    if !http || uri.host().is_none_or(str::is_empty) {
        return Err(TelemetryError::Endpoint {
            variable,
            source: None,
        });
    }
    Ok((Endpoint(uri), named))
}

fn encoding(variables: &mut Variables<'_>, signal: Signal) -> Option<Encoding> {
    let Some((name, protocol)) = either(variables, names!(signal, "PROTOCOL")) else {
        return Some(Encoding::Protobuf);
    };
    match protocol {
        "http/protobuf" => Some(Encoding::Protobuf),
        "http/json" => Some(Encoding::Json),
        "grpc" => {
            variables.notice(format!(
                "{name}: grpc is not there yet, so nothing is sent; \
                 use http/protobuf (collectors listen for it on port 4318)"
            ));
            None
        }
        other => {
            variables.notice(format!(
                "{name}: there is no protocol {other:?}; http/protobuf is used"
            ));
            Some(Encoding::Protobuf)
        }
    }
}

fn compression(variables: &mut Variables<'_>, signal: Signal) -> Compression {
    let Some((name, compression)) = either(variables, names!(signal, "COMPRESSION")) else {
        return Compression::None;
    };
    match compression.to_ascii_lowercase().as_str() {
        "gzip" => Compression::Gzip,
        "none" => Compression::None,
        other => {
            variables.notice(format!(
                "{name}: there is no compression {other:?} here, only gzip and none"
            ));
            Compression::None
        }
    }
}

/// Never shown: headers carry keys.
fn headers(variables: &mut Variables<'_>, signal: Signal) -> Vec<(HeaderName, Secret)> {
    let Some((name, list)) = either(variables, names!(signal, "HEADERS")) else {
        return Vec::new();
    };
    let header = |(key, value): (String, String)| {
        HeaderValue::from_str(&value).ok()?;
        Some((key.parse().ok()?, Secret::new(value)))
    };
    let headers: Option<Vec<_>> =
        pairs(list).and_then(|pairs| pairs.into_iter().map(header).collect());
    headers.unwrap_or_else(|| {
        variables.notice(format!(
            "{name} is no list of key=value pairs, so no headers are sent"
        ));
        Vec::new()
    })
}

fn timeout(variables: &mut Variables<'_>, signal: Signal) -> Duration {
    const DEFAULT: Duration = Duration::from_secs(10);
    let [own, general] = names!(signal, "TIMEOUT");
    let general = variables.milliseconds(general);
    let timeout = variables.milliseconds(own).or(general).unwrap_or(DEFAULT);
    // The batch's own limit can only shorten it.
    let batch = variables.milliseconds(match signal {
        Signal::Traces => "OTEL_BSP_EXPORT_TIMEOUT",
        Signal::Metrics => "OTEL_METRIC_EXPORT_TIMEOUT",
        Signal::Logs => "OTEL_BLRP_EXPORT_TIMEOUT",
    });
    batch.map_or(timeout, |batch| batch.min(timeout))
}
