//! What needs a network of its own making: names that never resolve, certificates.

use crate::bench::{bytes, download, fetcher, sha256};
use llamatelemetry_fetch::FetchError;
use llamatelemetry_progress::Silent;
use llamatelemetry_settings::{Environment, Flags, resolve};
use llamatelemetry_testbed::{scratch_home, skip};
use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// The other process: asks for a name and tells how long it took to give up.
#[test]
fn other_process() {
    let environment = Environment::from_process();
    let Some(url) = environment.get("LT_NETWORK_URL") else {
        return;
    };
    let settings = resolve(environment.clone(), &Flags::default())
        .unwrap()
        .settings;
    let fetcher = fetcher(&settings);
    let begun = Instant::now();
    let error = fetcher.get(url, &[], 10).unwrap_err();
    // A second unknown host has no time left.
    let second = fetcher.get("http://other.example/", &[], 10).unwrap_err();
    println!("lt-told {} {error}; {second}", begun.elapsed().as_millis());
}

fn line_of(command: &mut Command) -> Option<String> {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .find_map(|line| line.find("lt-told ").map(|at| line[at + 8..].to_owned()))
}

#[test]
fn a_name_resolution_that_hangs_is_given_up_in_time() {
    // A name server that takes every question and never answers.
    let Ok(_swallows) = UdpSocket::bind("127.0.0.77:53") else {
        return skip("a name server of the test's own is not allowed here");
    };
    let scratch = scratch_home();
    let names = scratch.root().join("resolv.conf");
    std::fs::write(&names, "nameserver 127.0.0.77\n").unwrap();
    let script =
        "mount --bind \"$2\" /etc/resolv.conf && \"$1\" --exact network::other_process --nocapture";
    let line = line_of(
        scratch
            .command("/usr/bin/env")
            .args(["unshare", "-m", "/bin/sh", "-c", script, "shell"])
            .arg(std::env::current_exe().unwrap())
            .arg(&names)
            .env_remove("http_proxy")
            .env_remove("HTTP_PROXY")
            .env_remove("all_proxy")
            .env_remove("ALL_PROXY")
            .env("LT_NETWORK_URL", "http://hangs.example/"),
    );
    let Some(line) = line else {
        return skip("no process may have mounts of its own here");
    };
    println!("{line}");
    let (took, told) = line.split_once(' ').unwrap();
    let took: u64 = took.parse().unwrap();
    assert!((4500..6500).contains(&took), "{line}");
    assert!(
        told.contains("hangs.example:80 cannot be reached: "),
        "{line}"
    );
    assert!(
        told.contains("other.example:80 cannot be reached: not tried, because the 5 s"),
        "{line}"
    );
}

#[test]
fn without_any_network_it_is_given_up_at_once() {
    let scratch = scratch_home();
    let line = line_of(
        scratch
            .command("/usr/bin/env")
            .args(["unshare", "-n"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "network::other_process", "--nocapture"])
            .env("LT_NETWORK_URL", "https://host.example/"),
    );
    let Some(line) = line else {
        return skip("no process may have a network of its own here");
    };
    let took: u64 = line.split(' ').next().unwrap().parse().unwrap();
    assert!(took < 5500, "{line}");
    assert!(line.contains("cannot be reached"), "{line}");
}

/// An HTTPS server of Python's for a folder, with a certificate of its own.
struct SecureServer {
    child: Child,
    port: String,
}

const SECURE: &str = "
import http.server, ssl, sys
server = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('cert.pem', 'key.pem')
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
";

const REQUEST: &str = "
[req]
prompt = no
distinguished_name = name
x509_extensions = extensions
[name]
CN = localhost
[extensions]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost
";

impl SecureServer {
    fn start(folder: &Path) -> Option<Self> {
        std::fs::write(folder.join("request.conf"), REQUEST).unwrap();
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
            ])
            .args([
                "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2",
            ])
            .args(["-config", "request.conf"])
            .current_dir(folder)
            .stderr(Stdio::null())
            .status();
        if !made.is_ok_and(|status| status.success()) {
            return None;
        }
        let mut child = Command::new("python3")
            .args(["-c", SECURE])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut port = String::new();
        BufReader::new(child.stdout.take()?)
            .read_line(&mut port)
            .ok()?;
        Some(Self {
            child,
            port: port.trim().to_owned(),
        })
    }
}

impl Drop for SecureServer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn certificates_are_checked_and_further_ones_are_honoured() {
    let scratch = scratch_home();
    let content = bytes(300_000, 80);
    std::fs::write(scratch.root().join("f"), &content).unwrap();
    let Some(server) = SecureServer::start(scratch.root()) else {
        return skip("no openssl or no python3 to make an HTTPS server of");
    };
    let url = format!("https://localhost:{}/f", server.port);
    let wanted = download(url.clone(), scratch.root().join("got"));
    let settings = scratch.settings();
    let error = fetcher(&settings).fetch(&wanted, &Silent).unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(error.hints()[0].contains("SSL_CERT_FILE"), "{error}");
    for variable in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
        let mut settings = settings.clone();
        settings.environment =
            Environment::from_pairs([(variable, scratch.root().join("cert.pem"))]);
        // It has no ranges, so this is one stream.
        let fetched = fetcher(&settings).fetch(&wanted, &Silent).unwrap();
        assert_eq!(fetched.sha256, sha256(&content), "{variable}");
    }
    // A certificate that is trusted, but for another name.
    let mut settings = settings.clone();
    settings.environment =
        Environment::from_pairs([("SSL_CERT_FILE", scratch.root().join("cert.pem"))]);
    let other = url.replace("localhost", "127.0.0.1");
    let error = fetcher(&settings).get(&other, &[], 10).unwrap_err();
    assert!(
        error.to_string().contains("certificate not valid for name"),
        "{error}"
    );
}
