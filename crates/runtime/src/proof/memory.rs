//! Remembered proofs: a binary that passed, or died for a lasting reason, is not run again.

use super::{Proved, Refusal, Stamp, stamp::hex};
use crate::files;
use llamatelemetry_settings::Home;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};

/// Raised when the proof itself changes, so that older results do not count.
const PROOF_VERSION: u32 = 1;

/// Everything a proof depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    version: u32,
    server: PathBuf,
    stamp: Stamp,
    library_path: String,
    cpu: String,
    driver: Option<String>,
}

impl Key {
    pub(crate) fn new(server: &Path, stamp: Stamp, library_path: String) -> Self {
        Self {
            version: PROOF_VERSION,
            server: server.to_path_buf(),
            stamp,
            library_path,
            cpu: llamatelemetry_machine::cpu_identity().to_owned(),
            driver: llamatelemetry_machine::driver_identity(),
        }
    }

    fn file(&self, home: &Home) -> PathBuf {
        let text = serde_json::to_string(self).unwrap_or_default();
        let name = hex(&Sha256::digest(text.as_bytes()));
        home.cache()
            .join("proofs")
            .join(format!("{}.json", &name[..32]))
    }
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    key: Key,
    result: Outcome,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Proved(Box<Proved>),
    Refused(Refusal),
}

/// What is remembered of this binary on this machine.
pub(crate) fn recall(home: &Home, key: &Key) -> Option<Result<Proved, Refusal>> {
    let text = std::fs::read(key.file(home)).ok()?;
    let remembered: Remembered = serde_json::from_slice(&text).ok()?;
    (remembered.key == *key).then_some(match remembered.result {
        Outcome::Proved(proved) => Ok(*proved),
        Outcome::Refused(refusal) => Err(refusal),
    })
}

/// Remembers a result if it would come out the same again. Failing to do so costs only time.
pub(crate) fn remember(home: &Home, key: &Key, result: &Result<Proved, Refusal>) {
    let result = match result {
        Ok(proved) => Outcome::Proved(Box::new(proved.clone())),
        Err(refusal) if refusal.lasting() => Outcome::Refused(refusal.clone()),
        Err(_) => return,
    };
    let remembered = Remembered {
        key: key.clone(),
        result,
    };
    let path = key.file(home);
    let written = home
        .ensure(home.cache().join("proofs"))
        .map_err(crate::RuntimeError::from)
        .and_then(|_folder| files::write_json(&path, &remembered));
    if let Err(error) = written {
        tracing::warn!(%error, "the proof's result could not be remembered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::RefusalKind;

    #[test]
    fn what_another_card_or_processor_showed_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path());
        let server = folder.path().join("llama-server");
        std::fs::write(&server, "a program").unwrap();
        let stamp = Stamp::of(&server, &[]).unwrap();
        let key = Key {
            driver: Some("580.159.04, Tesla T4".to_owned()),
            ..Key::new(&server, stamp, String::new())
        };
        let refusal = Refusal::new(RefusalKind::IllegalInstruction, "it died by SIGILL");
        remember(&home, &key, &Err(refusal.clone()));
        assert_eq!(
            recall(&home, &key).unwrap().unwrap_err().reason,
            refusal.reason
        );
        for other in [
            Key {
                driver: Some("580.159.04, NVIDIA H200".to_owned()),
                ..key.clone()
            },
            Key {
                driver: None,
                ..key.clone()
            },
            Key {
                cpu: "another processor".to_owned(),
                ..key.clone()
            },
        ] {
            assert!(recall(&home, &other).is_none(), "{other:?}");
        }
    }
}
