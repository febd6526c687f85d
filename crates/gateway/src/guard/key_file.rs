//! The file that API keys are kept in: hashed, private to the user, changed by one at a time.
//!
//! A key is 256 random bits, so a plain SHA-256 keeps it: there is no guessing such a key from its
//! digest, however fast the digest is. (Slow password hashes are for what people make up; here they
//! would only make every request dear.)

use llamatelemetry_settings::{Home, Secret, SettingsError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::fs::{File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use thiserror::Error;

/// The version of the file's form.
const VERSION: u32 = 1;
/// What every key begins with, so that leaked ones can be searched for.
const PREFIX: &str = "llt_";
/// Random bytes of a key.
const KEY_BYTES: usize = 32;
/// Letters of a key's name at most.
const LONGEST_NAME: usize = 64;

/// The SHA-256 of a key.
pub(crate) type KeyDigest = [u8; 32];

/// What is kept of one key. The key itself is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// Its name: what logs and records call it.
    pub name: String,
    /// SHA-256 of the key, in hexadecimal digits.
    pub sha256: String,
    /// When it was made, s since 1970.
    pub created: u64,
    /// When it ceases to be taken, s since 1970; `None`: never.
    pub expires: Option<u64>,
    /// The models that it may use, by the names they are served under; none listed: all.
    #[serde(default)]
    pub models: Vec<String>,
    /// Requests that it may make a minute; `None`: any number.
    pub requests_per_minute: Option<u32>,
    /// Tokens, of prompts and answers, that it may use a minute; `None`: any number.
    pub tokens_per_minute: Option<u32>,
}

/// What a new key may do.
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// How long it is taken; `None`: for ever.
    pub lifetime: Option<Duration>,
    /// The models that it may use; none listed: all.
    pub models: Vec<String>,
    /// Requests a minute.
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute.
    pub tokens_per_minute: Option<u32>,
}

/// Why keys could not be read or changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("cannot use the keys in {path}: {source}", path = path.display())]
    File {
        /// The system's answer.
        source: io::Error,
        /// The file.
        path: PathBuf,
    },
    /// Others could add keys of their own.
    #[error("the keys can be read or changed by other users (mode {mode:o}): {path}", path = path.display())]
    NotPrivate {
        /// Its permissions.
        mode: u32,
        /// The file.
        path: PathBuf,
    },
    /// It is not such a file, or one of a later version.
    #[error("these are no keys: {source}: {path}", path = path.display())]
    Malformed {
        /// What is wrong.
        source: serde_json::Error,
        /// The file.
        path: PathBuf,
    },
    /// A later version of this program wrote it.
    #[error("these keys are of version {version}, which this program does not know: {path}", path = path.display())]
    Version {
        /// The version.
        version: u32,
        /// The file.
        path: PathBuf,
    },
    /// The file of keys holds none.
    #[error("there is no key in {path}", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A name that cannot be one.
    #[error("`{name}` cannot be a key's name: it must have 1 to 64 letters, digits or `-_.@`")]
    Name {
        /// The name.
        name: String,
    },
    /// There is a key of this name.
    #[error("there is a key named `{name}` already")]
    Taken {
        /// The name.
        name: String,
    },
    /// There is none.
    #[error("there is no key named `{name}`")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The lock of the home.
    #[error(transparent)]
    Home(#[from] SettingsError),
}

/// The API keys of a home.
#[derive(Debug, Clone)]
pub struct KeyFile {
    home: Home,
}

#[derive(Serialize, Deserialize)]
struct Document {
    version: u32,
    keys: Vec<KeyEntry>,
}

impl KeyFile {
    /// The keys of this home. Nothing is read yet.
    pub fn of(home: &Home) -> Self {
        Self { home: home.clone() }
    }

    /// All keys, in the order in which they were made.
    pub fn list(&self) -> Result<Vec<KeyEntry>, KeyError> {
        let path = self.home.keys_file();
        let failed = |source| KeyError::File {
            source,
            path: path.clone(),
        };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyError::NotPrivate { mode, path });
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(failed)?;
        let malformed = |source| KeyError::Malformed {
            source,
            path: path.clone(),
        };
        // The version first: what a later one says must not be half understood.
        let value: serde_json::Value = serde_json::from_str(&text).map_err(malformed)?;
        if let Some(version) = value.get("version").and_then(serde_json::Value::as_u64)
            && version != u64::from(VERSION)
        {
            let version = u32::try_from(version).unwrap_or(u32::MAX);
            return Err(KeyError::Version { version, path });
        }
        let document: Document = serde_json::from_value(value).map_err(malformed)?;
        Ok(document.keys)
    }

    /// Makes a key. It is returned this once and kept nowhere.
    pub fn add(&self, new: NewKey) -> Result<(KeyEntry, Secret), KeyError> {
        check_name(&new.name)?;
        let now = now();
        let key = random_key().map_err(|source| KeyError::File {
            source,
            path: self.home.keys_file(),
        })?;
        let entry = KeyEntry {
            sha256: hexadecimal(&digest(key.expose())),
            created: now,
            expires: new.lifetime.map(|time| now.saturating_add(time.as_secs())),
            name: new.name,
            models: new.models,
            requests_per_minute: new.requests_per_minute,
            tokens_per_minute: new.tokens_per_minute,
        };
        self.change(|keys| {
            if keys.iter().any(|known| known.name == entry.name) {
                return Err(KeyError::Taken {
                    name: entry.name.clone(),
                });
            }
            keys.push(entry.clone());
            Ok(())
        })?;
        Ok((entry, key))
    }

    /// Takes a key away. Servers that run learn of it when they are told to reload.
    pub fn revoke(&self, name: &str) -> Result<KeyEntry, KeyError> {
        self.change(|keys| {
            let found = keys.iter().position(|known| known.name == name);
            let found = found.ok_or_else(|| KeyError::Unknown {
                name: name.to_owned(),
            })?;
            Ok(keys.remove(found))
        })
    }

    /// Whether keys were ever made here. A file whose last key was revoked still says so: nobody
    /// who took a key away meant to let everybody in.
    pub(crate) fn exists(&self) -> bool {
        self.home.keys_file().exists()
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<KeyEntry>) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        let _lock = self.home.lock("keys", || ())?;
        let mut keys = self.list()?;
        let changed = change(&mut keys)?;
        let path = self.home.keys_file();
        write(&path, &keys).map_err(|source| KeyError::File { source, path })?;
        Ok(changed)
    }
}

/// Writes beside the file and moves it there: readers see the old keys or the new ones.
fn write(path: &Path, keys: &[KeyEntry]) -> io::Result<()> {
    let beside = path.with_extension("json.new");
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)?;
    // One that a crash left may have other permissions.
    file.set_permissions(Permissions::from_mode(0o600))?;
    let document = Document {
        version: VERSION,
        keys: keys.to_vec(),
    };
    serde_json::to_writer_pretty(&mut file, &document)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

fn check_name(name: &str) -> Result<(), KeyError> {
    let letter = |letter: char| letter.is_alphanumeric() || "-_.@".contains(letter);
    if name.is_empty() || name.chars().count() > LONGEST_NAME || !name.chars().all(letter) {
        return Err(KeyError::Name {
            name: name.escape_debug().to_string(),
        });
    }
    Ok(())
}

fn random_key() -> io::Result<Secret> {
    use base64::Engine as _;
    let mut random = [0; KEY_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random);
    Ok(Secret::new(format!("{PREFIX}{text}")))
}

/// The digest that a key is known by.
pub(crate) fn digest(key: &str) -> KeyDigest {
    Sha256::digest(key).into()
}

fn hexadecimal(digest: &KeyDigest) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// A digest out of its digits.
pub(crate) fn read_digest(text: &str) -> Option<KeyDigest> {
    let mut digest = KeyDigest::default();
    if text.len() != 2 * digest.len() {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(digest)
}

/// Now, s since 1970. A clock before 1970 is at 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_life() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::of(&Home::new(folder.path()));
        assert_eq!(file.list().unwrap(), []);
        let named = |name: &str| NewKey {
            name: name.into(),
            ..NewKey::default()
        };
        let (entry, key) = file.add(named("laptop")).unwrap();
        assert!(key.expose().starts_with("llt_") && key.expose().len() == 47);
        assert_eq!(read_digest(&entry.sha256), Some(digest(key.expose())));
        assert!(matches!(
            file.add(named("laptop")),
            Err(KeyError::Taken { .. })
        ));
        assert!(matches!(
            file.add(named("a\nb")),
            Err(KeyError::Name { .. })
        ));
        let text = std::fs::read_to_string(folder.path().join("keys.json")).unwrap();
        assert!(!text.contains(key.expose()));
        assert_eq!(file.list().unwrap(), [entry]);
        file.revoke("laptop").unwrap();
        assert!(matches!(
            file.revoke("laptop"),
            Err(KeyError::Unknown { .. })
        ));
        assert!(file.exists() && file.list().unwrap().is_empty());
    }

    #[test]
    fn a_file_that_others_can_change_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::of(&Home::new(folder.path()));
        let path = folder.path().join("keys.json");
        std::fs::write(&path, r#"{"version":2,"keys":[]}"#).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o620)).unwrap();
        assert!(matches!(file.list(), Err(KeyError::NotPrivate { .. })));
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(
            file.list(),
            Err(KeyError::Version { version: 2, .. })
        ));
        // A restriction that is not understood must not be passed over.
        std::fs::write(
            &path,
            r#"{"version":1,"keys":[{"name":"a","sha256":"","created":0,"only_on_sundays":true}]}"#,
        )
        .unwrap();
        assert!(matches!(file.list(), Err(KeyError::Malformed { .. })));
    }
}
