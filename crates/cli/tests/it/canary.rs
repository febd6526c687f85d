//! What `llt run` is told in secret leaves it on no way while capture is off, and on the span while
//! capture is on.

use crate::llt::{Llt, Ran};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

const PROMPT: &str = "canary-in-the-prompt";
const SYSTEM: &str = "canary-in-the-system-prompt";
const KEY: &str = "canary-in-an-api-key";

/// A collector that keeps the bodies it gets, bytes as they came.
struct Collector {
    url: String,
    bodies: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bodies: Arc<Mutex<Vec<u8>>> = Arc::default();
        let kept = bodies.clone();
        // Ends with the process: nothing else tells that no more will come.
        std::thread::Builder::new()
            .name("collector".into())
            .spawn(move || {
                for connection in listener.incoming().flatten() {
                    let kept = kept.clone();
                    std::thread::Builder::new()
                        .name("collector-connection".into())
                        .spawn(move || while serve(&connection, &kept).is_some() {})
                        .unwrap();
                }
            })
            .unwrap();
        Self { url, bodies }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bodies.lock().unwrap()).into_owned()
    }
}

fn serve(mut connection: &TcpStream, kept: &Mutex<Vec<u8>>) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let mut length = 0;
    let mut lines = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim_end().is_empty() {
            break;
        }
        // The path tells the signal.
        if lines == 0 {
            kept.lock().unwrap().extend_from_slice(line.as_bytes());
        }
        lines += 1;
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    kept.lock().unwrap().extend_from_slice(&body);
    connection
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .ok()
}

/// Asks with the secrets, everything told as loudly as can be.
fn run(capture: &str) -> (Llt, Ran, Collector) {
    let collector = Collector::start();
    let llt = Llt::with_runtime()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)
        .with("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization={KEY}"))
        .with("OTEL_LOGS_EXPORTER", "otlp")
        .with("OTEL_TRACES_EXPORTER", "otlp")
        .with("HF_TOKEN", KEY)
        .with("LLAMATELEMETRY_LOG", "trace")
        .with("LLAMATELEMETRY_OTEL_FILE", "signals.jsonl")
        .with("LLAMATELEMETRY_EXPORT_LOG_LEVEL", "trace")
        .with(
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
            capture,
        );
    let proof = std::fs::read(llamatelemetry_testbed::proof_model()).unwrap();
    llt.file("proof.gguf", proof);
    let ran = llt.run(&[
        "run",
        "./proof.gguf",
        PROMPT,
        "--system",
        SYSTEM,
        "-n",
        "3",
        "--server-arg=--verbose",
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    (llt, ran, collector)
}

/// The files below a folder that hold a text.
fn holding(folder: &Path, text: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            holding(&path, text, found);
        } else if kind.is_file()
            && let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(text.len()).any(|at| at == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
}

/// The files of the store that hold a text once what is packed in them is unpacked.
fn stored(llt: &Llt, text: &str) -> Vec<std::path::PathBuf> {
    llamatelemetry_store::files_holding(&llt.home.home().store(), text.as_bytes()).unwrap()
}

#[test]
fn with_capture_off_a_secret_is_in_no_export_no_log_and_no_file() {
    let (llt, ran, collector) = run("NO_CONTENT");
    let exported = collector.text();
    assert!(exported.contains("/v1/traces"), "{exported}");
    assert!(exported.contains("gen_ai.operation.name"));
    for secret in [PROMPT, SYSTEM, KEY] {
        assert!(!exported.contains(secret), "{secret} was exported");
        assert!(!ran.stderr.contains(secret), "{secret}: {}", ran.stderr);
        let mut found = Vec::new();
        holding(llt.root(), secret, &mut found);
        assert!(found.is_empty(), "{secret}: {found:?}");
        let packed = stored(&llt, secret);
        assert!(packed.is_empty(), "{secret}: {packed:?}");
    }
    // What lies compressed in the store is read back as it was.
    for command in [
        &["trace", "export"][..],
        &["trace", "list", "--json"],
        &["logs", "--json"],
        &["metrics", "--json"],
    ] {
        let told = llt.run(command);
        assert_eq!(told.code, Some(0), "{command:?}: {}", told.text());
        assert!(!told.stdout.is_empty(), "{command:?}");
        for secret in [PROMPT, SYSTEM, KEY] {
            assert!(!told.stdout.contains(secret), "{secret} in {command:?}");
        }
    }
    assert!(ran.stderr.contains("llama_server"), "{}", ran.stderr);
    let mut files = Vec::new();
    holding(llt.root(), "gen_ai.operation.name", &mut files);
    assert!(
        files.iter().any(|file| file.ends_with("signals.jsonl")),
        "{files:?}"
    );
}

#[test]
fn with_capture_on_it_is_on_the_span_and_the_key_is_still_nowhere() {
    let (llt, ran, collector) = run("SPAN_ONLY");
    let exported = collector.text();
    for secret in [PROMPT, SYSTEM] {
        assert!(exported.contains(secret), "{secret} is missing");
        assert_eq!(stored(&llt, secret).len(), 1, "{secret} is not stored");
    }
    assert!(!exported.contains(KEY));
    assert!(stored(&llt, KEY).is_empty());
    assert!(!ran.stderr.contains(KEY));
}
