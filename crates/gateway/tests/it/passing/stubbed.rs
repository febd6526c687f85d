//! In front of a stub: what no real server can be made to do at will.

use crate::sink::Kept;
use crate::wire;
use llamatelemetry::{FinishReason, LoadOptions, RequestRecord};
use llamatelemetry_api::Address;
use llamatelemetry_gateway::{Gateway, ServePlan};
use llamatelemetry_record::Endpoint;
use llamatelemetry_settings::CaptureContent;
use llamatelemetry_testbed::{self as testbed, StubReply, StubRequest, StubServer};
use serde_json::json;
use std::io::{self, Read as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

struct Bed {
    gateway: Gateway,
    stub: StubServer,
    kept: Arc<Kept>,
}

/// A gateway in front of a stub that answers so.
async fn bed<H>(captures: bool, handler: H) -> Bed
where
    H: Fn(&StubRequest, &mut StubReply) -> io::Result<()> + Send + Sync + 'static,
{
    let stub = StubServer::tcp(handler);
    let Address::Tcp(address) = stub.address() else {
        panic!("a stub on TCP");
    };
    let mut settings = testbed::settings();
    settings.serve.port = 0;
    settings.serve.otlp_http = 0;
    settings.serve.otlp_grpc = 0;
    settings.serve.upstream = Some(format!("http://{address}"));
    if captures {
        settings.telemetry.capture_content = CaptureContent::SpanOnly;
    }
    let kept = Arc::new(Kept::default());
    let plan = ServePlan {
        models: Vec::new(),
        options: LoadOptions::new(settings).with_sink(kept.clone()),
        telemetry: None,
    };
    Bed {
        gateway: Gateway::start(plan).await.unwrap(),
        stub,
        kept,
    }
}

impl Bed {
    fn post(&self, path: &str, lines: &[&str], body: &str) -> wire::Reply {
        wire::send(self.gateway.address(), &self.request(path, lines, body))
    }

    fn request(&self, path: &str, lines: &[&str], body: &str) -> String {
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n",
            self.gateway.address(),
            body.len()
        );
        for line in lines {
            head.push_str(line);
            head.push_str("\r\n");
        }
        format!("{head}\r\n{body}")
    }

    /// The one record that a request left.
    fn record(&self) -> Arc<RequestRecord> {
        let records = self.kept.wait(1);
        assert_eq!(records.len(), 1);
        records[0].clone()
    }
}

fn chat_stream(reply: &mut StubReply) -> io::Result<()> {
    reply.stream()?;
    reply.event(&json!({"id": "c1", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}))?;
    for text in ["he", "y"] {
        reply.event(&json!({"id": "c1", "choices": [{"index": 0, "delta": {"content": text}}]}))?;
    }
    reply.event(&json!({
        "id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2},
    }))?;
    reply.chunk(b"data: [DONE]\n\n")?;
    reply.end()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_passes_as_it_came_and_leaves_one_record() {
    let bed = bed(false, |_, reply| chat_stream(reply)).await;
    let body = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":true,"max_tokens":9, "temperature" : 0.5}"#;
    let lines = [
        &format!("Traceparent: {PARENT}"),
        "Baggage: user=x",
        "X-Request-Id: mine",
        "Authorization: Bearer of-the-client",
        "X-Api-Key: of-the-client",
        "X-Conversation-Id: talk",
        "TE: trailers",
    ];
    let reply = bed.post("/v1/chat/completions", &lines, body);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-request-id"), Some("mine"));
    let told_back = reply.header("traceparent").map(str::to_owned);
    assert!(
        reply
            .header("server-timing")
            .unwrap()
            .starts_with("queue;dur=")
    );
    assert!(reply.body.contains("\"content\":\"he\""), "{}", reply.body);
    let trailer = reply.body.rsplit("\r\n0\r\n").next().unwrap();
    assert!(
        trailer
            .to_lowercase()
            .starts_with("server-timing: queue;dur="),
        "{trailer}"
    );
    assert!(trailer.contains("total;dur="), "{trailer}");

    let record = bed.record();
    let sent = &bed.stub.requests()[0];
    assert_eq!(sent.body, body.as_bytes());
    assert_eq!(sent.header("authorization"), None);
    assert_eq!(sent.header("x-api-key"), None);
    let told = format!("00-{}-{}-01", record.trace_id, record.span_id);
    assert_eq!(sent.header("traceparent"), Some(told.as_str()));
    assert_eq!(told_back, Some(told));
    assert_eq!(sent.header("baggage"), Some("user=x"));

    assert_eq!(record.parent.unwrap().to_string(), PARENT);
    assert_eq!(record.trace_id.to_string(), PARENT[3..35]);
    assert_eq!(record.endpoint, Endpoint::ChatCompletions);
    assert_eq!(record.model, "m");
    assert_eq!(record.deltas, 2);
    assert_eq!(record.usage.prompt_tokens, Some(5));
    assert_eq!(record.finish_reason, Some(FinishReason::Stop));
    assert_eq!(record.parameters.max_tokens, Some(9));
    assert_eq!(record.conversation_id.as_deref(), Some("talk"));
    assert!(record.streamed && record.phases.ttft().is_some());
    assert_eq!((&record.failure, &record.content), (&None, &None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_answer_tells_all_its_times_in_its_head() {
    let bed = bed(true, |_, reply| {
        reply.json(
            200,
            &json!({
                "choices": [{"index": 0, "message": {"role": "assistant", "content": "hey"},
                    "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 2},
                "timings": {"prompt_n": 5, "prompt_ms": 0.25, "predicted_n": 2, "predicted_ms": 0.5},
            }),
        )
    })
    .await;
    let body = r#"{"messages":[{"role":"user","content":"x"}]}"#;
    let reply = bed.post("/v1/chat/completions", &[], body);
    let timing = reply.header("server-timing").unwrap();
    assert!(
        timing.contains("prefill;dur=0.250, decode;dur=0.500, total;dur="),
        "{timing}"
    );
    assert_eq!(
        reply.header("content-length"),
        Some(reply.body.len().to_string().as_str())
    );
    assert_eq!(reply.header("x-request-id").map(str::len), Some(32));
    let record = bed.record();
    assert!(!record.streamed);
    let content = record.content.clone().unwrap();
    assert_eq!(content.input.len(), 1);
    assert_eq!(content.output.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_off_ends_with_an_error_of_its_api() {
    let bed = bed(false, |request, reply| {
        reply.stream()?;
        if request.path == "/v1/messages" {
            reply.chunk(b"event: message_start\ndata: {\"type\":\"message_start\"}\n\n")?;
        } else {
            reply.event(&json!({"choices": [{"index": 0, "delta": {"content": "he"}}]}))?;
        }
        reply.raw(b"1b\r\ndata: {\"conte")?;
        reply.close();
        Ok(())
    })
    .await;
    for (path, begin) in [
        ("/v1/chat/completions", "data: {\"error\":{"),
        ("/completion", "data: {\"error\":{"),
        (
            "/v1/messages",
            "event: error\ndata: {\"type\":\"error\",\"error\":{",
        ),
        ("/v1/responses", "event: error\ndata: {\"error\":{"),
    ] {
        let reply = bed.post(path, &[], r#"{"stream":true}"#);
        assert!(reply.body.contains(begin), "{path}: {}", reply.body);
        assert!(
            !reply.body.contains("data: {\"conte"),
            "{path}: half an event: {}",
            reply.body
        );
        assert!(
            reply.body.ends_with("\r\n0\r\n\r\n"),
            "{path}: no proper end: {}",
            reply.body
        );
    }
    for record in bed.kept.wait(4) {
        assert_eq!(record.failure.as_ref().unwrap().kind, "connection_broken");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_came_is_a_bad_gateway() {
    let bed = bed(false, |_, reply| {
        reply.close();
        Ok(())
    })
    .await;
    let reply = bed.post("/v1/messages", &[], "{}");
    assert_eq!(reply.status, 502);
    assert!(
        reply
            .body
            .starts_with("{\"type\":\"error\",\"error\":{\"type\":\"api_error\"")
    );
    assert_eq!(
        bed.record().failure.as_ref().unwrap().kind,
        "connection_broken"
    );
    assert_eq!(bed.post("/tokenize", &[], "{}").status, 502);
    assert_eq!(bed.kept.records().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_in_percent_codes_is_recorded_and_passes_as_it_is_spelled() {
    let bed = bed(false, |_, reply| reply.json(200, &json!({}))).await;
    let path = "/v1/chat/completion%73";
    assert_eq!(bed.post(path, &[], "{}").status, 200);
    assert_eq!(bed.record().endpoint, Endpoint::ChatCompletions);
    assert_eq!(bed.stub.requests()[0].path, path);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_slot_files_never_reach_the_server() {
    let bed = bed(false, |_, reply| reply.json(200, &json!({}))).await;
    let path = "/slots/0?action=save";
    assert_eq!(bed.post(path, &[], r#"{"filename":"../x"}"#).status, 400);
    assert!(bed.stub.requests().is_empty());
    assert_eq!(bed.post(path, &[], r#"{"filename":"x.bin"}"#).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_kept_and_a_stale_one_costs_no_answer() {
    let bed = bed(false, |_, reply| reply.json(200, &json!({}))).await;
    for _ in 0..3 {
        assert_eq!(bed.post("/tokenize", &[], "{}").status, 200);
    }
    assert_eq!(bed.stub.connections(), 1);
    bed.stub.close_connections();
    assert_eq!(bed.post("/tokenize", &[], "{}").status, 200);
    assert_eq!(bed.stub.connections(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_closes_the_connection_to_the_server() {
    let (told, gone) = mpsc::sync_channel(2);
    let bed = bed(false, move |request, reply| {
        if request.path == "/v1/chat/completions" {
            reply.stream()?;
            reply.event(&json!({"choices": [{"index": 0, "delta": {"content": "he"}}]}))?;
        }
        let begun = Instant::now();
        let left = reply.client_gone_within(Duration::from_secs(10))?;
        told.send(left.then(|| begun.elapsed())).unwrap();
        reply.close();
        Ok(())
    })
    .await;
    for path in ["/v1/chat/completions", "/completion"] {
        let mut client = wire::connect(bed.gateway.address());
        let request = bed.request(path, &[], r#"{"stream":true}"#);
        client.write_all(request.as_bytes()).unwrap();
        if path == "/v1/chat/completions" {
            client.read_exact(&mut [0; 64]).unwrap();
        } else {
            // Its answer has not begun; the request must have arrived.
            testbed::until("the request", Duration::from_secs(5), || {
                (bed.stub.requests().len() == 2).then_some(())
            });
        }
        drop(client);
        let left = gone.recv_timeout(Duration::from_secs(11)).unwrap();
        assert!(left.unwrap() < Duration::from_secs(2), "{path}: {left:?}");
    }
    for record in bed.kept.wait(2) {
        assert_eq!(record.finish_reason, Some(FinishReason::Cancelled));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_slows_its_server_and_fills_no_memory() {
    const PIECE: usize = 64 << 10;
    let written = Arc::new(AtomicU64::new(0));
    let counted = written.clone();
    let bed = bed(false, move |_, reply| {
        reply.stream()?;
        let mut event = b"data: ".to_vec();
        event.resize(PIECE, b'x');
        event.extend_from_slice(b"\n\n");
        loop {
            reply.chunk(&event)?;
            counted.fetch_add(event.len() as u64, Ordering::Relaxed);
        }
    })
    .await;
    let mut client = wire::connect(bed.gateway.address());
    let request = bed.request("/v1/chat/completions", &[], r#"{"stream":true}"#);
    client.write_all(request.as_bytes()).unwrap();
    // Nothing more is taken once all buffers are full.
    let mut last = (0, Instant::now());
    testbed::until("a server that waits", Duration::from_secs(20), || {
        let now = written.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (now > 0 && last.1.elapsed() > Duration::from_millis(500)).then_some(())
    });
    let held = written.load(Ordering::Relaxed);
    assert!(
        held < 16 << 20,
        "{held} bytes lie between server and client"
    );
    client.read_exact(&mut vec![0; 32 << 20]).unwrap();
    assert!(written.load(Ordering::Relaxed) > 31 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_server_lists_its_own_models() {
    let list = json!({"object": "list", "data": [{"id": "theirs"}]});
    let told = list.to_string();
    let bed = bed(false, move |request, reply| {
        let status = if request.path == "/v1/models" {
            200
        } else {
            404
        };
        reply.json(status, &list)
    })
    .await;
    let reply = wire::get(bed.gateway.address(), "/v1/models", &[]);
    assert_eq!((reply.status, reply.body), (200, told));
}
