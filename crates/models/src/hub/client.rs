//! The hub's own interface: what a repository holds, and where its files are.

use super::listing::{Listing, from_tree};
use crate::{ModelError, TokenSent};
use llamatelemetry_fetch::{FetchError, Fetcher, Reply};
use llamatelemetry_settings::{Secret, Settings};
use std::fmt::Write as _;

/// The most a listing may weigh in bytes: the largest repositories stay below a tenth of it.
const LISTING_LIMIT: u64 = 32 << 20;

/// Pages of a tree at most; one holds a thousand files.
const PAGE_LIMIT: usize = 50;

/// Talks to the hub.
#[derive(Debug)]
pub(crate) struct HubClient<'a> {
    fetcher: &'a Fetcher,
    endpoint: String,
    token: Option<&'a Secret>,
}

impl<'a> HubClient<'a> {
    /// A client for the hub, or the mirror of it, that the settings name.
    pub(crate) fn new(settings: &'a Settings, fetcher: &'a Fetcher) -> Self {
        Self {
            fetcher,
            endpoint: endpoint(settings),
            token: settings.models.hub_token.as_ref(),
        }
    }

    /// Whether requests carry a token.
    pub(crate) fn token_sent(&self) -> TokenSent {
        match self.token {
            Some(_) => TokenSent::Yes,
            None => TokenSent::No,
        }
    }

    /// The headers that say who asks.
    pub(crate) fn headers(&self) -> Vec<(String, Secret)> {
        self.token
            .map(|token| {
                let bearer = Secret::new(format!("Bearer {}", token.expose()));
                ("Authorization".to_owned(), bearer)
            })
            .into_iter()
            .collect()
    }

    /// The page of a repository.
    pub(crate) fn page(&self, repo: &str) -> String {
        format!("{}/{repo}", self.endpoint)
    }

    /// Where a file is.
    pub(crate) fn file_url(&self, repo: &str, commit: &str, path: &str) -> String {
        format!("{}/{repo}/resolve/{commit}/{}", self.endpoint, escape(path))
    }

    /// The GGUF files of a repository at a branch or commit.
    pub(crate) fn listing(&self, repo: &str, revision: &str) -> Result<Listing, ModelError> {
        let url = format!(
            "{}/api/models/{repo}/revision/{}?blobs=true",
            self.endpoint,
            escape(revision)
        );
        let reply = self.ask(repo, &url)?;
        let mut listing =
            Listing::from_revision(&reply.body).map_err(|reason| nonsense(repo, reason))?;
        if !listing.is_complete() {
            // A mirror that leaves out what `blobs` asks for still has the tree.
            listing.files = self.tree(repo, &listing.commit)?;
        }
        Ok(listing)
    }

    fn tree(&self, repo: &str, commit: &str) -> Result<Vec<super::listing::RepoFile>, ModelError> {
        let mut url = format!(
            "{}/api/models/{repo}/tree/{commit}?recursive=true",
            self.endpoint
        );
        let mut files = Vec::new();
        for _page in 0..PAGE_LIMIT {
            let reply = self.ask(repo, &url)?;
            files.extend(from_tree(&reply.body).map_err(|reason| nonsense(repo, reason))?);
            match reply.header("link").and_then(next_page) {
                Some(next) => next.clone_into(&mut url),
                None => return Ok(files),
            }
        }
        Err(nonsense(
            repo,
            format!("more than {PAGE_LIMIT} pages of files"),
        ))
    }

    fn ask(&self, repo: &str, url: &str) -> Result<Reply, ModelError> {
        let reply = self
            .fetcher
            .get(url, &self.headers(), LISTING_LIMIT)
            .map_err(|error| offline(error, repo))?;
        match reply.status {
            200..=299 => Ok(reply),
            401 | 403 | 404 => Err(self.refusal(repo, &reply)),
            _ => Err(reply
                .success()
                .err()
                .map_or_else(|| nonsense(repo, "no answer".to_owned()), ModelError::from)),
        }
    }

    /// What a refusal means. The hub hides what a stranger may not see as if it were not there.
    fn refusal(&self, repo: &str, reply: &Reply) -> ModelError {
        match reply.header("x-error-code") {
            Some("GatedRepo") => self.gated(repo),
            Some("RevisionNotFound") => ModelError::Hub {
                repo: repo.to_owned(),
                reason: "it has no such revision".to_owned(),
            },
            _ if reply.status == 403 => self.gated(repo),
            _ => ModelError::NoSuchRepository {
                repo: repo.to_owned(),
                token: self.token_sent(),
            },
        }
    }

    /// The repository wants an agreement.
    pub(crate) fn gated(&self, repo: &str) -> ModelError {
        ModelError::Gated {
            repo: repo.to_owned(),
            token: self.token_sent(),
            page: self.page(repo),
        }
    }
}

/// The model hub's address, without a slash at its end: the mirror's, if the settings name one.
pub fn endpoint(settings: &Settings) -> String {
    settings
        .network
        .mirrors
        .hub
        .as_deref()
        .unwrap_or(crate::catalogue::default_hub())
        .trim_end_matches('/')
        .to_owned()
}

/// Offline mode names the model, not the address.
pub(crate) fn offline(error: FetchError, name: &str) -> ModelError {
    match error {
        FetchError::Offline { .. } => ModelError::Offline {
            name: name.to_owned(),
        },
        other => other.into(),
    }
}

fn nonsense(repo: &str, reason: String) -> ModelError {
    ModelError::Hub {
        repo: repo.to_owned(),
        reason,
    }
}

/// The address in a `Link: <…>; rel="next"` header.
fn next_page(link: &str) -> Option<&str> {
    link.split(',')
        .find(|part| part.contains("rel=\"next\""))?
        .trim()
        .strip_prefix('<')?
        .split('>')
        .next()
}

/// A path as it stands in an address.
pub(crate) fn escape(path: &str) -> String {
    path.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                text.push(char::from(byte));
            }
            other => {
                // Writing to a string cannot fail.
                let _ok = write!(text, "%{other:02X}");
            }
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_escaped_and_pages_followed() {
        assert_eq!(escape("a b/c#1+é.gguf"), "a%20b/c%231%2B%C3%A9.gguf");
        let link = r#"<https://h/api?cursor=x>; rel="next""#;
        assert_eq!(next_page(link), Some("https://h/api?cursor=x"));
        assert_eq!(next_page(r#"<https://h>; rel="prev""#), None);
    }
}
