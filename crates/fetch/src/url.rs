//! Addresses: taken apart, joined after a redirect, shown without secrets.

use crate::FetchError;
use llamatelemetry_settings::Secret;
use std::fmt;
use ureq::http::Uri;

/// The address without user information and with the values of its query hidden, for people
/// and logs.
pub fn redacted(url: &str) -> String {
    let url = url.split_once('#').map_or(url, |(before, _)| before);
    let (base, query) = match url.split_once('?') {
        Some((base, query)) => (base, Some(query)),
        None => (url, None),
    };
    let mut text = match base.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest
                .find('/')
                .map_or((rest, ""), |slash| rest.split_at(slash));
            let host = authority.rsplit('@').next().unwrap_or(authority);
            format!("{scheme}://{host}{path}")
        }
        None => base.to_owned(),
    };
    if let Some(query) = query {
        let names: Vec<String> = query
            .split('&')
            .map(|pair| match pair.split_once('=') {
                Some((name, _)) => format!("{name}=…"),
                None => "…".to_owned(),
            })
            .collect();
        text.push('?');
        text.push_str(&names.join("&"));
    }
    text
}

/// An `http` or `https` address with a host. `Display` and `Debug` show it redacted.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url {
    uri: Uri,
}

impl Url {
    /// Parses an address. User information in it becomes the value of an `Authorization` header.
    pub(crate) fn parse(text: &str) -> Result<(Self, Option<Secret>), FetchError> {
        let refuse = |reason: &str| FetchError::Url {
            reason: reason.to_owned(),
            url: redacted(text),
        };
        let bare = text.split_once('#').map_or(text, |(before, _)| before);
        let (scheme, rest) = bare
            .split_once("://")
            .ok_or_else(|| refuse("it does not begin with http:// or https://"))?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let slash = if path.starts_with('/') { "" } else { "/" };
        let uri: Uri = format!("{scheme}://{host}{slash}{path}")
            .parse()
            .map_err(|_uri| refuse("it is malformed"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(refuse("it is neither http nor https"));
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err(refuse("it names no host"));
        }
        let login =
            user.map(|user| Secret::new(format!("Basic {}", base64(&percent_decoded(user)))));
        Ok((Self { uri }, login))
    }

    /// Where a `Location` header leads from here. User information in it is dropped.
    pub(crate) fn join(&self, location: &str) -> Result<Self, FetchError> {
        let scheme = self.scheme();
        let authority = self
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        let path = self.uri.path();
        let full = if location.contains("://") && !location.starts_with(['/', '?']) {
            location.to_owned()
        } else if location.starts_with("//") {
            format!("{scheme}:{location}")
        } else if location.starts_with('/') {
            format!("{scheme}://{authority}{location}")
        } else if location.starts_with('?') {
            format!("{scheme}://{authority}{path}{location}")
        } else {
            let folder = path.rfind('/').map_or("/", |slash| &path[..=slash]);
            format!("{scheme}://{authority}{folder}{location}")
        };
        Self::parse(&full).map(|(url, _)| url)
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(crate) fn scheme(&self) -> &str {
        self.uri.scheme_str().unwrap_or("http")
    }

    /// The host, without the brackets of an IPv6 address.
    pub(crate) fn host(&self) -> &str {
        let host = self.uri.host().unwrap_or_default();
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    pub(crate) fn port(&self) -> u16 {
        let usual = if self.scheme() == "https" { 443 } else { 80 };
        self.uri.port_u16().unwrap_or(usual)
    }

    /// Host and port, as a person would write them.
    pub(crate) fn host_and_port(&self) -> String {
        let host = self.uri.host().unwrap_or_default();
        format!("{}:{}", host.to_ascii_lowercase(), self.port())
    }

    /// Whether a secret meant for this address may be sent to the other.
    pub(crate) fn shares_secrets_with(&self, other: &Self) -> bool {
        let same_host = self.host().eq_ignore_ascii_case(other.host());
        let same_door = self.scheme() == other.scheme() && self.port() == other.port();
        let upgraded = self.scheme() == "http"
            && self.port() == 80
            && other.scheme() == "https"
            && other.port() == 443;
        same_host && (same_door || upgraded)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&self.uri.to_string()))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let pair = after
            .get(..2)
            .filter(|_| first == b'%')
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        if let Some(byte) = pair {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    bytes
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            if place <= chunk.len() {
                let index = (bits >> (18 - 6 * place)) & 63;
                text.push(char::from(ALPHABET[index as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redaction_hides_what_may_be_secret() {
        let shown = redacted("https://user:pw@host/a/b?token=abc&x=1&flag#frag");
        assert_eq!(shown, "https://host/a/b?token=…&x=…&…");
        assert_eq!(redacted("not a url"), "not a url");
        let (url, login) = Url::parse("https://user:p%40w@host/a?token=abc").unwrap();
        assert_eq!(url.to_string(), "https://host/a?token=…");
        assert_eq!(format!("{url:?}"), "https://host/a?token=…");
        assert_eq!(login.unwrap().expose(), "Basic dXNlcjpwQHc=");
    }

    #[test]
    fn base64_pads() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"f"), "Zg==");
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(base64(b"foobar"), "Zm9vYmFy");
    }

    #[test]
    fn locations_join_as_browsers_do() {
        let (url, _) = Url::parse("http://h:8080/a/b?q=1").unwrap();
        let joined = |location| url.join(location).unwrap().uri().to_string();
        assert_eq!(joined("c?x=2"), "http://h:8080/a/c?x=2");
        assert_eq!(joined("/c"), "http://h:8080/c");
        assert_eq!(joined("//other/c"), "http://other/c");
        assert_eq!(
            joined("https://other/c?to=http://x/"),
            "https://other/c?to=http://x/"
        );
        assert_eq!(joined("/go?to=http://x/"), "http://h:8080/go?to=http://x/");
        assert_eq!(joined("?q=2"), "http://h:8080/a/b?q=2");
        assert!(url.join("ftp://other/c").is_err());
    }

    #[test]
    fn secrets_stay_with_their_host() {
        let url = |text| Url::parse(text).unwrap().0;
        let home = url("http://Host/a");
        assert!(home.shares_secrets_with(&url("http://host:80/b")));
        assert!(home.shares_secrets_with(&url("https://host/b")));
        assert!(!home.shares_secrets_with(&url("http://host:81/b")));
        assert!(!home.shares_secrets_with(&url("http://other/b")));
        assert!(!url("https://host/a").shares_secrets_with(&url("http://host/b")));
    }

    #[test]
    fn bad_addresses_are_told_apart() {
        for (text, reason) in [
            ("host/file", "it does not begin with http:// or https://"),
            ("ftp://host/file", "it is neither http nor https"),
            ("http:///file", "it is malformed"),
            ("http://a b/", "it is malformed"),
        ] {
            let error = Url::parse(text).map(drop).unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
        }
    }
}
