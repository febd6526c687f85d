//! The door to downloads.

use crate::client::{Client, Patience, Redirects};
use crate::download::{self, Place};
use crate::reply::{self, Reply};
use crate::{FetchError, HashMemory, Reachability, redacted};
use llamatelemetry_progress::Progress;
use llamatelemetry_settings::{Home, Secret, Settings};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use ureq::http::Method;

/// A file to be brought here.
#[derive(Clone)]
pub struct Download {
    /// Where it is: `http://` or `https://`.
    pub url: String,
    /// Headers to send, such as `Authorization`. Not sent to another host after a redirect.
    pub headers: Vec<(String, Secret)>,
    /// The SHA-256 it must have, in hexadecimal, if that is known.
    pub sha256: Option<String>,
    /// The size it must have in bytes, if that is known.
    pub size: Option<u64>,
    /// Where it goes. The folder is made; the file appears only when it is whole.
    pub target: PathBuf,
    /// What it is, as a person would say it: "SmolLM2-135M".
    pub title: String,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("url", &redacted(&self.url))
            .field("headers", &self.headers)
            .field("sha256", &self.sha256)
            .field("size", &self.size)
            .field("target", &self.target)
            .field("title", &self.title)
            .finish()
    }
}

/// A file that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// Bytes that were already here.
    pub bytes_reused: u64,
    /// Bytes that came over the network.
    pub bytes_fetched: u64,
}

/// Brings files and small documents by HTTP.
#[derive(Debug)]
pub struct Fetcher {
    client: Client,
    home: Home,
    offline: bool,
    memory: HashMemory,
}

impl Fetcher {
    /// A fetcher with these settings.
    pub fn new(settings: &Settings) -> Result<Self, FetchError> {
        Ok(Self {
            client: Client::new(settings)?,
            home: settings.home.clone(),
            offline: settings.network.offline,
            memory: HashMemory::open(&settings.home)?,
        })
    }

    /// The same fetcher with another patience.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.client.patience = patience;
        self
    }

    /// The same fetcher with another knowledge of which hosts answer than that of this process.
    #[must_use]
    pub fn with_reachability(mut self, reach: Arc<Reachability>) -> Self {
        self.client.reach = reach;
        self
    }

    /// The remembered digests of this home.
    pub fn memory(&self) -> &HashMemory {
        &self.memory
    }

    /// A small document of at most `limit` bytes. Any status is a reply; see [`Reply::success`].
    /// Redirects are followed, without the headers on another host.
    pub fn get(
        &self,
        url: &str,
        headers: &[(String, Secret)],
        limit: u64,
    ) -> Result<Reply, FetchError> {
        let all = Redirects::All;
        reply::ask(&self.client, &Method::GET, url, headers, limit, all)
    }

    /// What the server says of a document without sending it. Redirects are followed only on the
    /// same host: the answer that sends elsewhere is the reply, because it is the one that tells
    /// of the document (model hubs do so).
    pub fn head(&self, url: &str, headers: &[(String, Secret)]) -> Result<Reply, FetchError> {
        let same = Redirects::SameHost;
        reply::ask(&self.client, &Method::HEAD, url, headers, 0, same)
    }

    /// Brings a file here and verifies it.
    ///
    /// A file that is already at the target is used if it has the digest asked for or, where none
    /// is, the size asked for. Another process that brings the same file is waited for. What
    /// earlier attempts left is used if the server says that the file is still the same.
    pub fn fetch(
        &self,
        download: &Download,
        progress: &dyn Progress,
    ) -> Result<Fetched, FetchError> {
        if let Some(sha256) = &download.sha256
            && (sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()))
        {
            return Err(FetchError::Url {
                reason: "the SHA-256 asked for is not 64 hexadecimal digits".to_owned(),
                url: redacted(&download.url),
            });
        }
        if let Some(fetched) = self.reuse(download, false, progress)? {
            return Ok(fetched);
        }
        if self.offline {
            return Err(FetchError::Offline {
                url: redacted(&download.url),
            });
        }
        let place = Place::of(download, &self.home)?;
        let mut waited = false;
        let _lock = self.home.lock(&format!("download-{}", place.key), || {
            waited = true;
            progress.note(&format!(
                "another process is fetching {}; waiting for it",
                download.title
            ));
        })?;
        if waited && let Some(fetched) = self.reuse(download, true, progress)? {
            return Ok(fetched);
        }
        let arrived = download::bring(&self.client, download, &place, progress)?;
        place.finish()?;
        self.memory.remember(&download.target, &arrived.sha256)?;
        Ok(Fetched {
            path: download.target.clone(),
            size: arrived.size,
            sha256: arrived.sha256,
            bytes_reused: arrived.reused,
            bytes_fetched: arrived.fetched,
        })
    }

    /// The file at the target, if it is the one wanted. `fresh`: another process has just
    /// finished it, so it is, even where neither digest nor size is known.
    fn reuse(
        &self,
        download: &Download,
        fresh: bool,
        progress: &dyn Progress,
    ) -> Result<Option<Fetched>, FetchError> {
        let target = &download.target;
        let size = match std::fs::metadata(target) {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            _ => return Ok(None),
        };
        let known = download.sha256.is_some() || download.size.is_some();
        if download.size.is_some_and(|expected| expected != size) || !(known || fresh) {
            return Ok(None);
        }
        let sha256 = self.memory.sha256(target, progress)?;
        if let Some(expected) = &download.sha256
            && !expected.eq_ignore_ascii_case(&sha256)
        {
            return Ok(None);
        }
        Ok(Some(Fetched {
            path: target.clone(),
            size,
            sha256,
            bytes_reused: size,
            bytes_fetched: 0,
        }))
    }
}
