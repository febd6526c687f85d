//! The keys that are taken, in memory.

use super::key_file::{KeyDigest, KeyEntry, KeyError, KeyFile, digest, now, read_digest};
use http::{HeaderMap, HeaderName, header};
use llamatelemetry_settings::{Secret, Settings};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

/// Where Anthropic's clients put their key.
pub(super) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A key as requests meet it.
#[derive(Debug)]
pub(crate) struct Key {
    /// What tells it from others: digits of its digest. 0 is nobody's.
    pub(crate) id: u64,
    digest: KeyDigest,
    /// What logs and records call it.
    pub(crate) name: String,
    expires: Option<u64>,
    /// None listed: all.
    models: Vec<String>,
    pub(crate) requests_per_minute: Option<u32>,
    pub(crate) tokens_per_minute: Option<u32>,
}

impl Key {
    fn of_entry(entry: KeyEntry) -> Option<Self> {
        let digest = read_digest(&entry.sha256)?;
        Some(Self {
            id: id(&digest),
            digest,
            name: entry.name,
            expires: entry.expires,
            models: entry.models,
            requests_per_minute: entry.requests_per_minute,
            tokens_per_minute: entry.tokens_per_minute,
        })
    }

    /// A key with these limits, of requests and of tokens a minute.
    #[cfg(test)]
    pub(crate) fn numbered(id: u64, requests: Option<u32>, tokens: Option<u32>) -> Self {
        Self {
            id,
            digest: KeyDigest::default(),
            name: format!("key {id}"),
            expires: None,
            models: Vec::new(),
            requests_per_minute: requests,
            tokens_per_minute: tokens,
        }
    }

    /// Whether it may use the model served under this name.
    pub(crate) fn allows(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|allowed| allowed == model)
    }
}

/// All keys that are taken.
#[derive(Debug, Default)]
pub(super) struct KeyRing {
    keys: Vec<Arc<Key>>,
    needed: bool,
}

/// What came of looking for a key in a request.
#[derive(Debug)]
pub(super) enum Asked {
    /// Nobody needs one here.
    NotNeeded,
    /// It has this one.
    Known(Arc<Key>),
    /// It has none.
    Missing,
    /// It has one that is not taken.
    Unknown,
    /// It has one whose time is over.
    Expired,
}

impl KeyRing {
    /// The keys of the home and of the file that the settings name.
    pub(super) fn load(settings: &Settings) -> Result<Self, KeyError> {
        let file = KeyFile::of(&settings.home);
        let mut keys: Vec<Arc<Key>> = file
            .list()?
            .into_iter()
            .filter_map(|entry| {
                let name = entry.name.clone();
                let key = Key::of_entry(entry);
                if key.is_none() {
                    tracing::warn!(name, "a key is not taken: its digest cannot be read");
                }
                key.map(Arc::new)
            })
            .collect();
        if let Some(path) = &settings.serve.api_key_file {
            keys.extend(plain_keys(path)?.into_iter().map(Arc::new));
        }
        let needed = !keys.is_empty() || file.exists();
        Ok(Self { keys, needed })
    }

    /// Whether a request without a key is refused.
    pub(super) fn needed(&self) -> bool {
        self.needed
    }

    /// Whether anybody can come in with a key.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Keys that were needed once are needed on: taking the last one away lets nobody in.
    pub(super) fn need(&mut self) {
        self.needed = true;
    }

    /// Looks for the key of a request. All digests are compared, each as a whole, so that the time
    /// tells nothing of them.
    pub(super) fn ask(&self, headers: &HeaderMap) -> Asked {
        if !self.needed {
            return Asked::NotNeeded;
        }
        let Some(presented) = presented(headers) else {
            return Asked::Missing;
        };
        let presented = digest(presented);
        let mut found = None;
        for key in &self.keys {
            if same(&key.digest, &presented) {
                found = Some(key);
            }
        }
        match found {
            None => Asked::Unknown,
            Some(key) if key.expires.is_some_and(|end| end <= now()) => Asked::Expired,
            Some(key) => Asked::Known(key.clone()),
        }
    }
}

/// The key in a request's headers, wherever its client's API puts it.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let bearer = || {
        let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    };
    let own = || headers.get(X_API_KEY)?.to_str().ok().map(str::trim);
    bearer().or_else(own).filter(|key| !key.is_empty())
}

/// A number for a key, unlike any other's but by an unlikely chance; then two share their limits.
fn id(digest: &KeyDigest) -> u64 {
    let (first, _) = digest.split_at(8);
    let number = first
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    number.max(1)
}

/// Whether two digests are the same, in a time that does not depend on where they differ.
fn same(one: &KeyDigest, other: &KeyDigest) -> bool {
    let difference = one
        .iter()
        .zip(other)
        .fold(0, |difference, (one, other)| difference | (one ^ other));
    std::hint::black_box(difference) == 0
}

/// The keys in a file that somebody wrote, one a line.
fn plain_keys(path: &Path) -> Result<Vec<Key>, KeyError> {
    let failed = |source| KeyError::File {
        source,
        path: path.to_owned(),
    };
    let mode = path.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(KeyError::NotPrivate {
            mode,
            path: path.to_owned(),
        });
    }
    if mode & 0o044 != 0 {
        // Some ways to mount a secret into a container know no other mode.
        tracing::warn!(path = %path.display(), "other users can read the file of API keys");
    }
    let text = Secret::new(std::fs::read_to_string(path).map_err(failed)?);
    let keys: Vec<Key> = text
        .expose()
        .lines()
        .map(str::trim)
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(at, line)| (at, digest(line)))
        .map(|(at, digest)| Key {
            id: id(&digest),
            digest,
            name: format!("file:{}", at + 1),
            expires: None,
            models: Vec::new(),
            requests_per_minute: None,
            tokens_per_minute: None,
        })
        .collect();
    if keys.is_empty() {
        return Err(KeyError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, http::HeaderValue::from_static(value))])
    }

    #[test]
    fn a_key_is_found_where_clients_put_it() {
        let of = |name, value| presented(&headers(name, value)).map(str::to_owned);
        assert_eq!(of(header::AUTHORIZATION, "Bearer a").as_deref(), Some("a"));
        assert_eq!(of(header::AUTHORIZATION, "bearer  a").as_deref(), Some("a"));
        assert_eq!(of(X_API_KEY, "a").as_deref(), Some("a"));
        assert_eq!(of(header::AUTHORIZATION, "Basic a"), None);
        assert_eq!(of(header::AUTHORIZATION, "Bearer "), None);
    }

    #[test]
    fn only_whole_keys_are_taken() {
        let key = |expires| {
            Arc::new(Key {
                digest: digest("abc"),
                expires,
                models: vec!["m".into()],
                ..Key::numbered(1, None, None)
            })
        };
        let ring = |expires| KeyRing {
            keys: vec![key(expires)],
            needed: true,
        };
        let ask = |ring: KeyRing, text| ring.ask(&headers(X_API_KEY, text));
        assert!(matches!(ask(ring(None), "abc"), Asked::Known(_)));
        assert!(matches!(ask(ring(None), "ab"), Asked::Unknown));
        assert!(matches!(ask(ring(Some(1)), "abc"), Asked::Expired));
        assert!(matches!(ring(None).ask(&HeaderMap::new()), Asked::Missing));
        assert!(key(None).allows("m") && !key(None).allows("n"));
    }
}
