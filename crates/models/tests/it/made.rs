//! Things made for tests: small models, and a hub that serves them.

use llamatelemetry_gguf::{GgmlType, GgufWriter, OwnedValue};
use llamatelemetry_progress::{Progress, Silent, Task, TaskHandle};
use llamatelemetry_settings::Settings;
use llamatelemetry_testbed::{FileServer, ScratchHome, Seen, Served, scratch_home};
use sha2::{Digest as _, Sha256};
use std::sync::Mutex;

/// A commit.
pub(crate) const FIRST: &str = "1111111111111111111111111111111111111111";
/// A later one.
pub(crate) const SECOND: &str = "2222222222222222222222222222222222222222";

/// A sound GGUF file of this architecture with so many bytes of weights.
pub(crate) fn gguf_of(architecture: &str, name: &str, bytes: usize) -> Vec<u8> {
    let text = |text: &str| OwnedValue::String(text.as_bytes().to_vec());
    let floats = bytes / 4;
    // Not all zeros: two parts of one size must differ.
    let data: Vec<u8> = (0..floats)
        .flat_map(|number| (number.wrapping_mul(2_654_435_761) as f32).to_le_bytes())
        .collect();
    let mut writer = GgufWriter::new();
    writer
        .set("general.architecture", text(architecture))
        .and_then(|writer| writer.set("general.name", text(name)))
        .and_then(|writer| writer.tensor("w", &[floats as u64], GgmlType::F32, data))
        .and_then(|writer| writer.to_bytes())
        .expect("a small GGUF")
}

/// A sound GGUF file of the llama architecture.
pub(crate) fn gguf(name: &str) -> Vec<u8> {
    gguf_of("llama", name, 4096)
}

/// The SHA-256 of bytes in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string");
            text
        })
}

/// A local server that speaks the hub's protocol.
pub(crate) struct Hub {
    pub(crate) files: FileServer,
}

impl Hub {
    pub(crate) fn start() -> Self {
        Self {
            files: FileServer::start().expect("a file server"),
        }
    }

    /// A home of the test's own whose hub this is.
    pub(crate) fn home(&self) -> ScratchHome {
        scratch_home().with("HF_ENDPOINT", self.files.url(""))
    }

    /// Publishes files as a repository's main branch.
    pub(crate) fn publish(&self, repo: &str, commit: &str, files: &[(&str, Vec<u8>)]) {
        let siblings: Vec<String> = files
            .iter()
            .map(|(path, bytes)| {
                let (digest, size) = (sha256(bytes), bytes.len());
                self.files.put(
                    &format!("/{repo}/resolve/{commit}/{path}"),
                    Served::new(bytes.clone()),
                );
                format!(
                    r#"{{"rfilename":"{path}","size":{size},"blobId":"{commit}","lfs":{{"sha256":"{digest}","size":{size},"pointerSize":134}}}}"#
                )
            })
            .collect();
        let body = format!(
            r#"{{"id":"{repo}","sha":"{commit}","gated":false,"siblings":[{}]}}"#,
            siblings.join(",")
        );
        for revision in ["main", commit] {
            self.files.put(
                &format!("/api/models/{repo}/revision/{revision}"),
                Served::new(body.clone().into_bytes()),
            );
        }
    }

    /// The paths asked for since the last time, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self
            .files
            .seen()
            .into_iter()
            .map(|seen: Seen| seen.path)
            .collect();
        self.files.forget();
        asked
    }
}

/// Keeps what is noted.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<String>>);

impl Notes {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic while noting").clone()
    }
}

impl Progress for Notes {
    fn begin(&self, task: Task) -> Box<dyn TaskHandle> {
        Silent.begin(task)
    }

    fn note(&self, message: &str) {
        self.0
            .lock()
            .expect("no panic while noting")
            .push(message.to_owned());
    }
}

/// The same settings in offline mode.
pub(crate) fn offline(mut settings: Settings) -> Settings {
    settings.network.offline = true;
    settings
}
