//! Clients that send too much, too slowly, or rubbish; TLS; a Unix socket.

use crate::guarding::{let_in, settings, start};
use crate::wire::{Reply, connect, get, send};
use llamatelemetry_settings::ByteSize;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring::default_provider};

/// Reads until the other side closes.
fn rest(stream: &mut TcpStream) -> Reply {
    let mut answer = Vec::new();
    // A connection that is reset has still said what it said.
    drop(stream.read_to_end(&mut answer));
    Reply::read(&answer)
}

fn post(address: SocketAddr, length: usize, body: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_not_waited_for() {
    let (_home, mut settings) = settings();
    settings.serve.patience = Duration::from_millis(300);
    let gateway = start(&settings).await.unwrap();
    let address = gateway.address();
    // Nothing at all; half a head; a head, and half a body.
    let half_body = post(address, 100, "{");
    for begun in [
        "",
        "GET / HT",
        "GET / HTTP/1.1\r\nHost: localhost\r\n",
        &half_body,
    ] {
        let since = Instant::now();
        let mut stream = connect(address);
        stream.write_all(begun.as_bytes()).unwrap();
        let reply = rest(&mut stream);
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "{begun}: {reply:?}"
        );
        assert!(matches!(reply.status, 0 | 408), "{begun}: {reply:?}");
    }
    // One byte after the other, each in time, and yet no head in time.
    let mut stream = connect(address);
    let since = Instant::now();
    let mut dripped = 0;
    while stream.write_all(b"G").is_ok() {
        dripped += 1;
        assert!(since.elapsed() < Duration::from_secs(10), "{dripped} bytes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_before_it_is_here() {
    let (_home, mut settings) = settings();
    settings.serve.body_limit = ByteSize(1000);
    let gateway = start(&settings).await.unwrap();
    let address = gateway.address();
    // Only told, never sent.
    let told = send(address, &post(address, 1001, ""));
    assert_eq!(told.status, 413, "{told:?}");
    let chunks = format!(
        "POST /props HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n400\r\n{}\r\n",
        "x".repeat(0x400)
    );
    assert_eq!(send(address, &chunks).status, 413);
    let head = format!("X-Long: {}", "x".repeat(300 << 10));
    assert_eq!(get(address, "/props", &[&head]).status, 431);
    assert!(let_in(get(address, "/props", &[]).status));
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_is_answered_and_forgotten() {
    let (_home, settings) = settings();
    let gateway = start(&settings).await.unwrap();
    let address = gateway.address();
    for rubbish in [
        "\u{16}\u{3}\u{1}\u{2}\u{0}\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let reply = send(address, rubbish);
        assert!(
            matches!(reply.status, 0 | 400..=499),
            "{rubbish}: {reply:?}"
        );
    }
    assert!(let_in(get(address, "/props", &[]).status));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_connections_are_told_so() {
    let (_home, mut settings) = settings();
    settings.serve.connections = 2;
    let gateway = start(&settings).await.unwrap();
    let address = gateway.address();
    let held: Vec<TcpStream> = (0..2).map(|_| connect(address)).collect();
    let refused = rest(&mut connect(address));
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(refused.body.ends_with("}}"), "{}", refused.body);
    drop(held);
    let room = || let_in(get(address, "/props", &[]).status).then_some(());
    llamatelemetry_testbed::until("room for another", Duration::from_secs(10), room);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_a_door_too() {
    let (home, mut settings) = settings();
    let path = home.root().join("s");
    settings.serve.socket = Some(path.clone());
    let gateway = start(&settings).await.unwrap();
    assert_eq!(gateway.url(), format!("unix:{}", path.display()));
    let mut stream = UnixStream::connect(&path).unwrap();
    let request = b"GET /props HTTP/1.1\r\nHost: any\r\nConnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(let_in(Reply::read(&answer).status));
    gateway.drain(Duration::from_secs(5)).await;
    assert!(!path.exists());
}

/// Asks over TLS, trusting this certificate alone.
async fn ask_in_tls(address: SocketAddr, certificate: &str) -> std::io::Result<Reply> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(address).await?;
    let name = "localhost".try_into().unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect(name, stream).await?;
    let request = b"GET /props HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(Reply::read(&answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_shows_the_certificate_of_the_moment() {
    let (home, mut settings) = settings();
    let place = |name: &str| home.root().join(name);
    let make = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(place("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(place("key.pem"), made.signing_key.serialize_pem()).unwrap();
        made.cert.pem()
    };
    let first = make();
    settings.serve.tls_certificate = Some(place("cert.pem"));
    assert!(
        start(&settings).await.is_err(),
        "a certificate without its key"
    );
    settings.serve.tls_key = Some(place("key.pem"));
    let gateway = start(&settings).await.unwrap();
    let address = gateway.address();
    assert!(gateway.url().starts_with("https://"));
    assert!(let_in(ask_in_tls(address, &first).await.unwrap().status));
    assert!(
        !let_in(get(address, "/props", &[]).status),
        "it answers in the clear"
    );
    let second = make();
    gateway.reload(&settings).unwrap();
    assert!(ask_in_tls(address, &first).await.is_err());
    assert!(let_in(ask_in_tls(address, &second).await.unwrap().status));
    std::fs::write(place("key.pem"), "rubbish").unwrap();
    assert!(gateway.reload(&settings).is_err());
    assert!(let_in(ask_in_tls(address, &second).await.unwrap().status));
}
