//! How a gateway ends, and what asks after its health while it runs.

use crate::letters::{Kept, add_model, client, models, question, settings, start, until};
use crate::wire::{connect, get};
use llamatelemetry_record::FinishReason;
use llamatelemetry_settings::KeepAlive;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const OK: &str = r#"{"status":"ok"}"#;

/// A stream that goes on for long; its head has come.
fn long_stream(address: SocketAddr) -> TcpStream {
    let mut body = question("letters-1", 'a', 1_900, true);
    body["ignore_eos"] = true.into();
    let body = body.to_string();
    let mut stream = connect(address);
    let length = body.len();
    let request = format!(
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream.read_exact(&mut [0; 64]).unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_past_its_limit_leaves_every_record_and_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings();
    add_model(&mut settings, folder.path(), 1);
    settings.server.parallel = Some(2);
    settings.server.context = Some(4096);
    let sink = Arc::new(Kept::default());
    let gateway = start(settings, &sink).await;
    let address = gateway.address();
    // A client that takes nothing: its answer cannot end in time however fast the machine is.
    let held: Vec<TcpStream> = (0..2).map(|_| long_stream(address)).collect();
    let listed = models(&client(&gateway)).await;
    let pid = listed[0]["pids"][0].as_u64().unwrap();
    let begun = Instant::now();
    gateway.drain(Duration::ZERO).await;
    let took = begun.elapsed();
    let records = sink.records();
    assert_eq!(records.len(), 2, "one of each, and none is still to come");
    for record in &records {
        assert_eq!(record.finish_reason, Some(FinishReason::Cancelled));
    }
    assert!(
        !Path::new(&format!("/proc/{pid}")).exists(),
        "the server still runs"
    );
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(TcpStream::connect(address).is_err());
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_after_health_loads_nothing_and_keeps_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings();
    let name = add_model(&mut settings, folder.path(), 1);
    // One model alone is loaded from the start; it goes when nobody asks it.
    let model = settings.serve.models.get_mut(&name).unwrap();
    model.idle = Some(KeepAlive::For(Duration::from_secs(1)));
    let sink = Arc::new(Kept::default());
    let gateway = start(settings, &sink).await;
    let address = gateway.address();
    let client = client(&gateway);
    let told = get(address, "/health", &[]);
    assert_eq!((told.status, told.body.as_str()), (200, OK));
    assert!(
        told.header("server").is_some(),
        "not llama-server's own word: {told:?}"
    );
    until(&client, "nothing loaded", |models| {
        get(address, "/health", &[]);
        models[0]["state"] == "unloaded"
    })
    .await;
    let body = r#"{"model":"letters-1"}"#;
    let length = format!("Content-Length: {}\r\n\r\n{body}", body.len());
    for path in ["/health?model=letters-1", "/v1/health"] {
        let told = get(address, path, &[&length]);
        assert_eq!((told.status, told.body.as_str()), (200, OK));
    }
    assert_eq!(models(&client).await[0]["state"], "unloaded");
    gateway.drain(Duration::from_secs(10)).await;
}
