//! The head of an HTTP request: just enough of it.

use std::net::IpAddr;

/// Heads are no longer than this.
pub(super) const LONGEST: usize = 8 << 10;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Without what follows a question mark.
    pub(super) path: String,
    pub(super) host: Option<String>,
    pub(super) accept: String,
    /// Whether it is of HTTP/1.1, which wants a `Host`.
    pub(super) modern: bool,
}

/// Where a head ends, if all of it is there.
pub(super) fn end(bytes: &[u8]) -> Option<usize> {
    let found = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    found.map(|start| start + 4)
}

impl Request {
    /// Reads a head. `None` if it is none.
    pub(super) fn parse(head: &[u8]) -> Option<Self> {
        let head = std::str::from_utf8(head).ok()?;
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target, version) = (first.next()?, first.next()?, first.next()?);
        if first.next().is_some() || method.is_empty() || !target.starts_with('/') {
            return None;
        }
        let modern = match version {
            "HTTP/1.1" => true,
            "HTTP/1.0" => false,
            _ => return None,
        };
        let mut request = Self {
            method: method.to_owned(),
            path: target.split('?').next().unwrap_or_default().to_owned(),
            host: None,
            accept: String::new(),
            modern,
        };
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            let value = value.trim();
            if name.eq_ignore_ascii_case("host") {
                // Two of them are one too many to be honest.
                if request.host.replace(value.to_owned()).is_some() {
                    return None;
                }
            } else if name.eq_ignore_ascii_case("accept") {
                if !request.accept.is_empty() {
                    request.accept.push(',');
                }
                request.accept.push_str(value);
            }
        }
        Some(request)
    }

    /// Whether it is addressed to this machine by a name that no web page can choose.
    pub(super) fn is_for_loopback(&self) -> bool {
        let Some(host) = &self.host else {
            return !self.modern;
        };
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next(),
            None => host.split(':').next(),
        };
        name.is_some_and(|name| {
            let address = name.parse::<IpAddr>();
            name.eq_ignore_ascii_case("localhost")
                || address.is_ok_and(|address| address.is_loopback())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read() {
        let head =
            b"GET /metrics?x=1 HTTP/1.1\r\nHOST: localhost:9464\r\nAccept: a\r\naccept:b\r\n\r\n";
        assert_eq!(end(head), Some(head.len()));
        let request = Request::parse(head).expect("a request");
        assert_eq!(request.path, "/metrics");
        assert_eq!(request.accept, "a,b");
        assert!(request.is_for_loopback());
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for wrong in [
            "",
            "GET\r\n\r\n",
            "GET /x HTTP/2\r\n\r\n",
            "GET http://x/ HTTP/1.1\r\n\r\n",
            "GET /x HTTP/1.1 y\r\n\r\n",
            "GET /x HTTP/1.1\r\nno colon\r\n\r\n",
            "GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        ] {
            assert_eq!(Request::parse(wrong.as_bytes()), None, "{wrong:?}");
        }
        assert_eq!(Request::parse(b"GET /\xff HTTP/1.1\r\n\r\n"), None);
    }

    #[test]
    fn a_host_of_this_machine_is_known() {
        let with = |host: Option<&str>, modern| Request {
            method: "GET".into(),
            path: "/".into(),
            host: host.map(str::to_owned),
            accept: String::new(),
            modern,
        };
        for (host, here) in [
            ("127.0.0.1:9464", true),
            ("127.9.9.9", true),
            ("[::1]:9464", true),
            ("LOCALHOST", true),
            ("evil.example:9464", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("", false),
        ] {
            assert_eq!(with(Some(host), true).is_for_loopback(), here, "{host}");
        }
        assert!(with(None, false).is_for_loopback());
        assert!(!with(None, true).is_for_loopback());
    }
}
