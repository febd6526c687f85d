//! Where a file comes from: requests for all or a part of it, and what answers say of it.

use crate::client::{Answer, Ask, Client, Redirects, Trouble};
use crate::hash::sha256_text;
use crate::reply::with_login;
use crate::url::Url;
use crate::{Download, FetchError};
use llamatelemetry_settings::Secret;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use ureq::http::Method;

pub(super) struct Source {
    pub(super) url: Url,
    /// The digest of the address: tells two addresses apart without keeping what may be secret.
    pub(super) identity: String,
    headers: Vec<(String, Secret)>,
    /// Where redirects led; asked first from then on, as long as it answers.
    landed: Mutex<Option<Url>>,
    /// Bytes of bodies received in this round.
    received: AtomicU64,
}

/// The headers of one request.
pub(super) struct Request {
    headers: Vec<(&'static str, String)>,
}

impl Source {
    pub(super) fn new(download: &Download) -> Result<Self, FetchError> {
        let (url, login) = Url::parse(&download.url)?;
        Ok(Self {
            identity: sha256_text(&url.uri().to_string()),
            url,
            headers: with_login(&download.headers, login),
            landed: Mutex::default(),
            received: AtomicU64::new(0),
        })
    }

    pub(super) fn begin_round(&self) {
        self.received.store(0, Ordering::Relaxed);
    }

    pub(super) fn count(&self, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// A request for everything.
    pub(super) fn whole() -> Request {
        Request {
            headers: Vec::new(),
        }
    }

    /// A request for a range, both ends included, if the file is still that of the validator.
    pub(super) fn range(from: u64, until: u64, if_range: Option<&str>) -> Request {
        let mut headers = vec![("range", format!("bytes={from}-{until}"))];
        if let Some(validator) = if_range {
            headers.push(("if-range", validator.to_owned()));
        }
        Request { headers }
    }

    pub(super) fn send(&self, client: &Client, request: &Request) -> Result<Answer, Trouble> {
        let landed = self.lock().clone();
        let answer = client.send(&self.ask(request, landed.as_ref()))?;
        let answer = match (answer.status(), landed) {
            // Such an address is often valid for a short time only: go the whole way again.
            (400 | 401 | 403 | 404 | 410, Some(_)) => {
                *self.lock() = None;
                client.send(&self.ask(request, None))?
            }
            _ => answer,
        };
        if answer.url != self.url && matches!(answer.status(), 200 | 206) {
            *self.lock() = Some(answer.url.clone());
        }
        Ok(answer)
    }

    fn ask<'a>(&'a self, request: &'a Request, start: Option<&'a Url>) -> Ask<'a> {
        Ask {
            method: Method::GET,
            url: &self.url,
            start,
            secret_headers: &self.headers,
            headers: &request.headers,
            redirects: Redirects::All,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Url>> {
        self.landed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn nonsense(&self, reason: &str) -> FetchError {
        FetchError::Protocol {
            reason: reason.to_owned(),
            url: self.url.to_string(),
        }
    }
}

/// First byte, last byte and, if it is told, the size of the whole.
pub(super) fn content_range(answer: &Answer) -> Option<(u64, u64, Option<u64>)> {
    parse_content_range(answer.header("content-range")?)
}

fn parse_content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, size) = text.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    let (first, last) = range.trim().split_once('-')?;
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let size = match size.trim() {
        "*" => None,
        size => Some(size.parse().ok()?),
    };
    let sane = first <= last && size.is_none_or(|size| last < size);
    sane.then_some((first, last, size))
}

#[cfg(test)]
mod tests {
    use super::parse_content_range as parse;

    #[test]
    fn content_ranges() {
        assert_eq!(parse("bytes 0-3/10"), Some((0, 3, Some(10))));
        assert_eq!(parse("bytes 0-3/*"), Some((0, 3, None)));
        for bad in [
            "bytes */10",
            "bytes 3-2/10",
            "bytes 0-10/10",
            "0-3/10",
            "bytes 0-x/1",
            "",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
