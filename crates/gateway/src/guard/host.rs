//! Under which names this server may be asked for.
//!
//! A web page can point a name of its own at 127.0.0.1 and then read, as its own origin, whatever
//! listens there. Its requests still carry that name in `Host`: one that nobody chose for this
//! server is refused. An address cannot be turned around like that, but one that is not ours has
//! no business here either.

use http::header::HOST;
use http::uri::Authority;
use http::{HeaderMap, Uri, Version};
use std::net::IpAddr;

/// The hosts that are taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Hosts {
    /// Where it listens; `None` on a Unix socket.
    listening: Option<IpAddr>,
    /// In small letters.
    names: Vec<String>,
}

impl Hosts {
    pub(super) fn new(listening: Option<IpAddr>, names: &[String]) -> Self {
        Self {
            listening,
            names: names.iter().map(|name| name.to_ascii_lowercase()).collect(),
        }
    }

    /// Why a request's host is not taken, if it is not. The error is what the client is told.
    pub(super) fn check(
        &self,
        version: Version,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<(), String> {
        // A whole address in the first line stands above the header.
        if let Some(authority) = uri.authority()
            && !self.takes(authority.host())
        {
            return Err(wrong(authority.host()));
        }
        let mut hosts = headers.get_all(HOST).iter();
        let Some(host) = hosts.next() else {
            // HTTP/2 has the authority in its place, which was looked at. Else probes of old load
            // balancers; browsers always send it.
            let told = version == Version::HTTP_2 && uri.authority().is_some();
            return if told || version < Version::HTTP_11 {
                Ok(())
            } else {
                Err("the request has no Host".to_owned())
            };
        };
        if hosts.next().is_some() {
            return Err("the request has two Hosts".to_owned());
        }
        let text = host.to_str().unwrap_or_default();
        match text.parse::<Authority>() {
            Ok(authority) if !text.contains('@') && self.takes(authority.host()) => Ok(()),
            _ => Err(wrong(text)),
        }
    }

    fn takes(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return address.is_loopback()
                || self
                    .listening
                    .is_some_and(|own| own.is_unspecified() || own == address)
                || self.names.iter().any(|name| name == bare);
        }
        let name = bare.trim_end_matches('.').to_ascii_lowercase();
        name == "localhost" || name.ends_with(".localhost") || self.names.contains(&name)
    }
}

fn wrong(host: &str) -> String {
    format!(
        "`{}` is not a name of this server; serve.hosts takes further ones",
        host.escape_debug()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(hosts: &Hosts, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        let uri = Uri::from_static("/");
        hosts.check(Version::HTTP_11, &uri, &headers).is_ok()
    }

    #[test]
    fn loopback_goes_by_its_own_names_only() {
        let hosts = Hosts::new(Some([127, 0, 0, 1].into()), &["Llm.Example".into()]);
        for own in [
            "localhost",
            "LocalHost:8080",
            "127.0.0.1:8080",
            "127.1.2.3",
            "[::1]:8080",
            "a.localhost",
            "localhost.",
            "llm.example:443",
        ] {
            assert!(takes(&hosts, own), "{own}");
        }
        for foreign in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "evil@localhost",
            "localhost/evil",
            "",
            "0.0.0.0",
            "127.1",
        ] {
            assert!(!takes(&hosts, foreign), "{foreign}");
        }
    }

    #[test]
    fn an_address_of_the_machine_is_its_name_where_all_are_listened_on() {
        let all = Hosts::new(Some([0, 0, 0, 0].into()), &[]);
        assert!(takes(&all, "10.0.0.1:80") && !takes(&all, "evil.example"));
        let one = Hosts::new(Some([10, 0, 0, 1].into()), &[]);
        assert!(takes(&one, "10.0.0.1") && !takes(&one, "10.0.0.2"));
    }

    #[test]
    fn a_whole_address_is_checked_too() {
        let hosts = Hosts::new(Some([127, 0, 0, 1].into()), &[]);
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "localhost".parse().unwrap());
        let check = |uri| hosts.check(Version::HTTP_11, &Uri::from_static(uri), &headers);
        assert!(check("http://localhost/").is_ok());
        assert!(check("http://evil.example/").is_err());
        let none = HeaderMap::new();
        let uri = Uri::from_static("/");
        assert!(hosts.check(Version::HTTP_11, &uri, &none).is_err());
        assert!(hosts.check(Version::HTTP_10, &uri, &none).is_ok());
        let over_http2 = |uri| hosts.check(Version::HTTP_2, &Uri::from_static(uri), &none);
        assert!(over_http2("http://localhost/").is_ok());
        assert!(over_http2("http://evil.example/").is_err() && over_http2("/").is_err());
    }
}
