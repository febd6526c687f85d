//! The door to downloads.

use crate::hash::hex;
use crate::{FetchError, HashMemory, redacted};
use llamatelemetry_progress::{Progress, Task};
use llamatelemetry_settings::{Secret, Settings};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;

/// A file to be brought here.
#[derive(Debug, Clone)]
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

/// A small document, as the server answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The answer's headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The address asked, without secrets.
    pub url: String,
}

impl Reply {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The reply if its status is success, else [`FetchError::Status`].
    pub fn success(self) -> Result<Self, FetchError> {
        if (200..300).contains(&self.status) {
            Ok(self)
        } else {
            Err(FetchError::Status {
                status: self.status,
                message: String::new(),
                url: self.url,
            })
        }
    }
}

/// Brings files and small documents by HTTP.
#[derive(Debug)]
pub struct Fetcher {
    settings: Settings,
    agent: ureq::Agent,
    memory: HashMemory,
}

impl Fetcher {
    /// A fetcher with these settings.
    pub fn new(settings: &Settings) -> Result<Self, FetchError> {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_resolve(Some(settings.network.give_up_after))
            .timeout_connect(Some(settings.network.give_up_after))
            .build()
            .new_agent();
        Ok(Self {
            settings: settings.clone(),
            agent,
            memory: HashMemory::open(&settings.home)?,
        })
    }

    /// The remembered digests of this home.
    pub fn memory(&self) -> &HashMemory {
        &self.memory
    }

    fn call(
        &self,
        url: &str,
        headers: &[(String, Secret)],
    ) -> Result<ureq::http::Response<ureq::Body>, FetchError> {
        if self.settings.network.offline {
            return Err(FetchError::Offline { url: redacted(url) });
        }
        let mut request = self.agent.get(url).header("accept-encoding", "identity");
        for (name, value) in headers {
            request = request.header(name, value.expose());
        }
        request.call().map_err(|error| FetchError::Unreachable {
            host: String::new(),
            reason: error.to_string(),
            url: redacted(url),
        })
    }

    /// A small document of at most `limit` bytes. Any status is a reply; see [`Reply::success`].
    pub fn get(
        &self,
        url: &str,
        headers: &[(String, Secret)],
        limit: u64,
    ) -> Result<Reply, FetchError> {
        let mut response = self.call(url, headers)?;
        let mut body = Vec::new();
        response
            .body_mut()
            .as_reader()
            .take(limit + 1)
            .read_to_end(&mut body)
            .map_err(|error| FetchError::Protocol {
                reason: error.to_string(),
                url: redacted(url),
            })?;
        if body.len() as u64 > limit {
            return Err(FetchError::TooLarge {
                limit,
                url: redacted(url),
            });
        }
        Ok(Reply {
            status: response.status().as_u16(),
            headers: response
                .headers()
                .iter()
                .filter_map(|(name, value)| {
                    Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
                })
                .collect(),
            body,
            url: redacted(url),
        })
    }

    /// Brings a file here and verifies it. A file that is already at the target is used if it has
    /// the digest asked for or, where none is, the size asked for.
    pub fn fetch(
        &self,
        download: &Download,
        progress: &dyn Progress,
    ) -> Result<Fetched, FetchError> {
        let target = &download.target;
        if target.is_file() {
            let size = std::fs::metadata(target)
                .map_err(|source| FetchError::io("read", target, source))?
                .len();
            let sha256 = self.memory.sha256(target, progress)?;
            let fits = match (&download.sha256, download.size) {
                (Some(expected), _) => sha256.eq_ignore_ascii_case(expected),
                (None, Some(expected)) => size == expected,
                (None, None) => false,
            };
            if fits {
                return Ok(Fetched {
                    path: target.clone(),
                    size,
                    sha256,
                    bytes_reused: size,
                    bytes_fetched: 0,
                });
            }
        }
        let url = redacted(&download.url);
        let mut response = self.call(&download.url, &download.headers)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(FetchError::Status {
                status,
                message: String::new(),
                url,
            });
        }
        let folder = target.parent().map_or_else(PathBuf::new, Into::into);
        std::fs::create_dir_all(&folder)
            .map_err(|source| FetchError::io("make the folder", &folder, source))?;
        let part = target.with_extension("part");
        let fail = |source| FetchError::io("write", &part, source);
        let mut file = File::create(&part).map_err(fail)?;
        let task = progress.begin(Task::bytes(
            download.title.clone(),
            response.body().content_length(),
        ));
        let mut reader = response.body_mut().as_reader();
        let mut block = vec![0; 1 << 16];
        let mut hasher = Sha256::new();
        let mut size = 0;
        loop {
            let count = reader
                .read(&mut block)
                .map_err(|error| FetchError::Interrupted {
                    received: size,
                    attempts: 1,
                    reason: error.to_string(),
                    url: url.clone(),
                })?;
            if count == 0 {
                break;
            }
            hasher.update(&block[..count]);
            file.write_all(&block[..count]).map_err(fail)?;
            size += count as u64;
            task.at(size);
        }
        let sha256 = hex(&hasher.finalize());
        if let Some(expected) = &download.sha256
            && !sha256.eq_ignore_ascii_case(expected)
        {
            std::fs::remove_file(&part).map_err(fail)?;
            return Err(FetchError::Digest {
                expected: expected.clone(),
                actual: sha256,
                url,
            });
        }
        file.sync_all().map_err(fail)?;
        std::fs::rename(&part, target)
            .map_err(|source| FetchError::io("rename to", target, source))?;
        self.memory.remember(target, &sha256)?;
        Ok(Fetched {
            path: target.clone(),
            size,
            sha256,
            bytes_reused: 0,
            bytes_fetched: size,
        })
    }
}
