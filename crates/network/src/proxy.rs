//! Proxies, as the environment names them.
//!
//! `http_proxy`, `https_proxy` and `all_proxy` by the scheme of the address wanted, in lower or
//! upper case (`HTTP_PROXY` not under a web server, where a request's header `Proxy` sets it);
//! `no_proxy` lists what is reached directly: `*`, names with everything below them,
//! addresses and address blocks (`10.0.0.0/8`), each with a port if wanted. This machine itself is
//! never reached through a proxy. Every scheme is tunnelled (`CONNECT`).

use crate::NetworkError;
use llamatelemetry_settings::Environment;
use std::fmt;
use std::net::IpAddr;
use ureq::http::Uri;

/// Which proxy is used for which address.
pub struct Proxies {
    http: Option<ureq::Proxy>,
    https: Option<ureq::Proxy>,
    direct: Vec<Direct>,
}

/// One entry of `no_proxy`.
#[derive(Debug, PartialEq, Eq)]
enum Direct {
    All,
    Name { name: String, port: Option<u16> },
    Block { network: IpAddr, bits: u32 },
}

impl Proxies {
    /// What the environment says.
    pub fn from_environment(environment: &Environment) -> Result<Self, NetworkError> {
        let pick = |names: [&'static str; 2]| {
            names
                .into_iter()
                .find_map(|name| environment.get(name).map(|value| (name, value)))
        };
        let proxy = |names| -> Result<Option<ureq::Proxy>, NetworkError> {
            let all = || pick(["all_proxy", "ALL_PROXY"]);
            let Some((variable, value)) = pick(names).or_else(all) else {
                return Ok(None);
            };
            match ureq::Proxy::new(value.trim()) {
                Ok(proxy) => Ok(Some(proxy)),
                // The error is about the text, which may hold a password.
                Err(_) => Err(NetworkError::Proxy {
                    variable: variable.to_owned(),
                    reason: "it is not the address of a proxy".to_owned(),
                }),
            }
        };
        let direct = pick(["no_proxy", "NO_PROXY"])
            .map(|(_, list)| list.split([',', ' ']).filter_map(Direct::parse).collect())
            .unwrap_or_default();
        let http = match environment.get("REQUEST_METHOD") {
            Some(_) => ["http_proxy"; 2],
            None => ["http_proxy", "HTTP_PROXY"],
        };
        Ok(Self {
            http: proxy(http)?,
            https: proxy(["https_proxy", "HTTPS_PROXY"])?,
            direct,
        })
    }

    /// The proxy for an address, if one is to be used.
    pub fn for_uri(&self, uri: &Uri) -> Option<&ureq::Proxy> {
        let secure = uri.scheme_str() == Some("https");
        let proxy = if secure { &self.https } else { &self.http }.as_ref()?;
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let host = host.to_ascii_lowercase();
        let here = host == "localhost"
            || host.ends_with(".localhost")
            || host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        let direct = here || self.direct.iter().any(|d| d.covers(&host, port));
        (!direct).then_some(proxy)
    }
}

impl fmt::Debug for Proxies {
    /// Without addresses: they may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("direct", &self.direct)
            .finish()
    }
}

impl Direct {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        if text == "*" {
            return Some(Self::All);
        }
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(network) = bare.parse::<IpAddr>() {
            let bits = if network.is_ipv4() { 32 } else { 128 };
            return Some(Self::Block { network, bits });
        }
        if let Some((network, bits)) = text.split_once('/') {
            let network: IpAddr = network.parse().ok()?;
            let bits: u32 = bits.parse().ok()?;
            let widest = if network.is_ipv4() { 32 } else { 128 };
            return (bits <= widest).then_some(Self::Block { network, bits });
        }
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (text, None),
        };
        let name = name.trim_start_matches('*').trim_start_matches('.');
        Some(Self::Name {
            name: name.to_ascii_lowercase(),
            port,
        })
    }

    fn covers(&self, host: &str, at_port: u16) -> bool {
        match self {
            Self::All => true,
            Self::Name { name, port } => {
                let named = host
                    .strip_suffix(name.as_str())
                    .is_some_and(|before| before.is_empty() || before.ends_with('.'));
                named && port.is_none_or(|port| port == at_port)
            }
            Self::Block { network, bits } => match (network, host.parse::<IpAddr>()) {
                (IpAddr::V4(network), Ok(IpAddr::V4(address))) => {
                    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                    network.to_bits() & mask == address.to_bits() & mask
                }
                (IpAddr::V6(network), Ok(IpAddr::V6(address))) => {
                    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
                    network.to_bits() & mask == address.to_bits() & mask
                }
                _ => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(pairs: &[(&str, &str)], url: &str) -> Option<String> {
        let environment = Environment::from_pairs(pairs.iter().copied());
        let proxies = Proxies::from_environment(&environment).unwrap();
        proxies
            .for_uri(&url.parse().unwrap())
            .map(|proxy| format!("{}:{}", proxy.host(), proxy.port()))
    }

    #[test]
    fn the_scheme_chooses_the_proxy() {
        let pairs = [("http_proxy", "http://a:1"), ("HTTPS_PROXY", "b:2")];
        assert_eq!(used(&pairs, "http://x/").as_deref(), Some("a:1"));
        assert_eq!(used(&pairs, "https://x/").as_deref(), Some("b:2"));
        let pairs = [("ALL_PROXY", "http://c:3"), ("https_proxy", "http://b:2")];
        assert_eq!(used(&pairs, "http://x/").as_deref(), Some("c:3"));
        assert_eq!(used(&pairs, "https://x/").as_deref(), Some("b:2"));
        assert_eq!(used(&[], "https://x/"), None);
        let pairs = [("ALL_PROXY", "socks5h://s:1080")];
        assert_eq!(used(&pairs, "https://x/").as_deref(), Some("s:1080"));
    }

    #[test]
    fn a_request_to_a_web_server_sets_no_proxy() {
        let pairs = [("HTTP_PROXY", "http://evil:1"), ("REQUEST_METHOD", "GET")];
        assert_eq!(used(&pairs, "http://x/"), None);
        assert!(used(&pairs[..1], "http://x/").is_some());
    }

    #[test]
    fn what_is_reached_directly() {
        let direct = |list: &str, url: &str| {
            used(&[("all_proxy", "http://p:1"), ("no_proxy", list)], url).is_none()
        };
        assert!(direct("*", "https://x/"));
        assert!(direct("example.com", "https://example.com/"));
        assert!(direct(".example.com", "https://a.EXAMPLE.com/"));
        assert!(direct("*.example.com, other", "https://a.example.com/"));
        assert!(!direct("example.com", "https://badexample.com/"));
        assert!(direct("example.com:8443", "https://example.com:8443/"));
        assert!(!direct("example.com:8443", "https://example.com/"));
        assert!(direct("10.0.0.0/8", "http://10.2.3.4/"));
        assert!(!direct("10.0.0.0/8", "http://11.2.3.4/"));
        assert!(direct("0.0.0.0/0", "http://11.2.3.4/"));
        assert!(direct("fd00::/8", "http://[fd12::1]/"));
        assert!(direct("", "http://127.0.0.1:9/"));
        assert!(direct("", "http://[::1]:9/"));
        assert!(direct("", "http://localhost:9/"));
        assert!(!direct("", "http://x/"));
    }

    #[test]
    fn a_bad_proxy_is_an_error_without_its_text() {
        let environment = Environment::from_pairs([("https_proxy", "gopher://user:secret@h")]);
        let error = Proxies::from_environment(&environment)
            .map(drop)
            .unwrap_err();
        assert!(error.to_string().contains("https_proxy"), "{error}");
        assert!(!format!("{error:?}").contains("secret"));
    }
}
