//! The real llama-server with a model, for as long as a test takes.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use llamatelemetry_gguf::open_model;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::place;

/// How long loading a small model may take on a machine that does other things, too.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A server that is ended with the test.
pub(crate) struct Server {
    child: Child,
    socket: PathBuf,
    _folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Server {
    /// Starts a server and waits until it is ready; `None` where there is no llama-server.
    pub(crate) fn start(model: &Path) -> Option<Self> {
        let program = place::llama_server()?;
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("server.sock");
        let log = folder.path().join("log");
        let output = std::fs::File::create(&log).expect("a log");
        let child = Command::new(program)
            .args([
                "--ctx-size",
                "256",
                "--threads",
                "1",
                "--parallel",
                "1",
                "--offline",
            ])
            .arg("--host")
            .arg(&socket)
            .arg("--model")
            .arg(model)
            .env("XDG_CONFIG_HOME", folder.path())
            .env("HF_HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a log"))
            .stderr(output)
            .spawn()
            .expect("it starts");
        let mut server = Self {
            child,
            socket,
            _folder: folder,
        };
        let started = Instant::now();
        while server.request("GET /health", "").is_none() {
            let ended = server.child.try_wait().expect("it can be asked");
            let log = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(ended.is_none(), "{ended:?}: {}", log());
            assert!(started.elapsed() < START_TIMEOUT, "not ready: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    fn request(&self, head: &str, body: &str) -> Option<Json> {
        let mut stream = UnixStream::connect(&self.socket).ok()?;
        stream.set_read_timeout(Some(START_TIMEOUT)).ok()?;
        let length = body.len();
        write!(
            stream,
            "{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .ok()?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).ok()?;
        let (head, body) = reply.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200")
            .then(|| serde_json::from_str(body).ok())?
    }

    /// The answer to a request to `/completion`.
    pub(crate) fn complete(&self, request: &Json) -> Json {
        self.request("POST /completion", &request.to_string())
            .expect("an answer")
    }

    /// Compares the facts about the model with what the server says about it.
    pub(crate) fn assert_agrees(&self, model: &Path) {
        let facts = open_model(model).expect("it opens").facts().expect("facts");
        let models = self.request("GET /v1/models", "").expect("an answer");
        let theirs = &models["data"][0]["meta"];
        let ours = json!({
            "n_params": facts.parameters,
            "size": facts.tensor_bytes,
            "n_vocab": facts.vocabulary,
            "n_ctx_train": facts.context_length,
            "n_embd": facts.embedding_length,
        });
        for (key, value) in ours.as_object().expect("an object") {
            assert_eq!(&theirs[key], value, "{key}");
        }
        let props = self.request("GET /props", "").expect("an answer");
        // A model without a template gets one of llama.cpp's own.
        if let Some(template) = facts.chat_template {
            assert_eq!(props["chat_template"], template);
        }
    }
}
