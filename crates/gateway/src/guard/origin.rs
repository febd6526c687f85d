//! Which web pages may call: none but our own, unless the user names them.
//!
//! A page's script can send requests anywhere, whatever CORS says; CORS only keeps it from reading
//! the answers. Generating costs as much unread, so a request of a foreign page is refused here.

use crate::ordered;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const REQUEST_PRIVATE: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// What a page may read of an answer's head beside what it always may.
const EXPOSED: &str = "x-request-id, traceparent, server-timing, retry-after";
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// What lets a page in.
const ALLOWING: [HeaderName; 4] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_HEADERS,
];
/// How long a browser may remember what it was told, s.
const MAX_AGE: &str = "600";

/// The origins that may call.
#[derive(Debug, Clone, Default)]
pub(super) struct Origins {
    all: bool,
    /// As browsers write them, without a slash at the end.
    listed: Vec<String>,
}

/// A page that may call.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// No page, or one of ours: CORS has no part in it.
    Own,
    /// A page that the user let in.
    Page(HeaderValue),
}

impl Origins {
    pub(super) fn new(listed: &[String]) -> Self {
        Self {
            all: listed.iter().any(|origin| origin == "*"),
            listed: listed
                .iter()
                .map(|origin| origin.trim_end_matches('/').to_ascii_lowercase())
                .collect(),
        }
    }

    /// Who calls. The error is what the client is told.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<Caller, String> {
        let Some(origin) = headers.get(ORIGIN) else {
            return if foreign_fetch(headers) {
                Err("a page of another site asks; serve.cors_origins lets pages in".to_owned())
            } else {
                Ok(Caller::Own)
            };
        };
        let text = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let is_own = headers
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .zip(text.split_once("://"))
            .is_some_and(|(host, (scheme, site))| {
                matches!(scheme, "http" | "https") && host.eq_ignore_ascii_case(site)
            });
        if is_own {
            Ok(Caller::Own)
        } else if self.all || self.listed.contains(&text) {
            Ok(Caller::Page(origin.clone()))
        } else {
            Err(format!(
                "pages of `{}` may not call; serve.cors_origins lets them in",
                text.escape_debug()
            ))
        }
    }
}

/// A browser sends no `Origin` with an image or a script that a page of another site names, but it
/// says so. Following a link to us is no such thing.
fn foreign_fetch(headers: &HeaderMap) -> bool {
    let is = |name: &HeaderName, value: &str| headers.get(name).is_some_and(|found| found == value);
    is(&FETCH_SITE, "cross-site") && !is(&FETCH_MODE, "navigate")
}

impl Caller {
    /// The answer to a browser that asks whether its page may call, if that is what it asks.
    pub(super) fn preflight<B: Default>(
        &self,
        method: &Method,
        headers: &HeaderMap,
    ) -> Option<Response<B>> {
        let Self::Page(_) = self else {
            return None;
        };
        if method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let mut response = Response::new(B::default());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let told = response.headers_mut();
        told.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static(METHODS),
        );
        if let Some(asked) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            told.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
        }
        if headers.contains_key(REQUEST_PRIVATE) {
            told.insert(ALLOW_PRIVATE, HeaderValue::from_static("true"));
        }
        told.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        Some(response)
    }

    /// Makes an answer's head say what this server's user decided: what llama-server says of CORS
    /// is meant for pages that talk to it directly.
    pub(super) fn mark(&self, headers: &mut HeaderMap, answered_here: bool) {
        if !answered_here && ALLOWING.iter().any(|name| headers.contains_key(name)) {
            *headers = ordered::without(std::mem::take(headers), |name| ALLOWING.contains(name));
        }
        if let Self::Page(origin) = self {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(
                ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static(EXPOSED),
            );
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn only_own_and_listed_pages_may_call() {
        let origins = Origins::new(&["https://App.example/".into()]);
        let check =
            |origin: &str| origins.check(&headers(&[(HOST, "localhost:8080"), (ORIGIN, origin)]));
        assert!(matches!(check("http://localhost:8080"), Ok(Caller::Own)));
        assert!(matches!(check("https://app.example"), Ok(Caller::Page(_))));
        for foreign in [
            "http://localhost:3000",
            "https://app.example.evil",
            "https://evil.example",
            "null",
            "",
            "file://localhost:8080",
        ] {
            assert!(check(foreign).is_err(), "{foreign}");
        }
        let all = Origins::new(&["*".into()]);
        assert!(all.check(&headers(&[(ORIGIN, "null")])).is_ok());
    }

    #[test]
    fn what_a_foreign_page_embeds_is_refused_and_a_link_is_not() {
        let closed = Origins::default();
        let embedded = [(FETCH_SITE, "cross-site"), (FETCH_MODE, "no-cors")];
        assert!(closed.check(&headers(&embedded)).is_err());
        let link = [(FETCH_SITE, "cross-site"), (FETCH_MODE, "navigate")];
        assert!(closed.check(&headers(&link)).is_ok());
        assert!(closed.check(&HeaderMap::new()).is_ok());
    }

    #[test]
    fn a_preflight_is_answered_for_listed_pages() {
        let page = Caller::Page(HeaderValue::from_static("https://a"));
        let asked = headers(&[
            (ACCESS_CONTROL_REQUEST_METHOD, "POST"),
            (ACCESS_CONTROL_REQUEST_HEADERS, "authorization"),
        ]);
        let mut told = page.preflight::<()>(&Method::OPTIONS, &asked).unwrap();
        page.mark(told.headers_mut(), true);
        assert_eq!(
            told.headers()[ACCESS_CONTROL_ALLOW_HEADERS],
            "authorization"
        );
        assert_eq!(told.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a");
        assert!(page.preflight::<()>(&Method::POST, &asked).is_none());
        assert!(
            Caller::Own
                .preflight::<()>(&Method::OPTIONS, &asked)
                .is_none()
        );
    }
}
