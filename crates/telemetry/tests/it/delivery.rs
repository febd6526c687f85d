//! Spans over OTLP to a receiver of our own, to one that refuses, and to nobody.

use crate::receiver::{Received, Receiver, Reply};
use crate::sample::{NOBODY, chat, content, settings, telemetry};
use llamatelemetry_record::{RequestRecord, Sink as _, SpanId, TraceId};
use llamatelemetry_settings::{Environment, Settings};
use llamatelemetry_telemetry::{
    Delivery, ResourceFacts, SpanLimits, Telemetry, TelemetryError, spans,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message as _;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(30);

fn send(receiver: &Receiver, variables: &[(&str, &str)], record: RequestRecord) -> Received {
    let url = receiver.url();
    let mut all = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())];
    all.extend_from_slice(variables);
    let telemetry = telemetry(&all);
    telemetry.record(Arc::new(record));
    let delivery = telemetry.shutdown(LONG);
    assert_eq!(
        delivery,
        Delivery {
            delivered: 4,
            ..Delivery::default()
        }
    );
    receiver.next()
}

/// What arrived is what the mapping made, in the protocol's own form.
fn check(received: &Received, record: &RequestRecord) {
    let sent = spans(record, &SpanLimits::default());
    let arrived = received.spans();
    assert_eq!(arrived, sent);
    let root = &arrived[0];
    assert!(root.parent_span_id.is_empty());
    for child in &arrived[1..] {
        assert_eq!(child.parent_span_id, root.span_id);
    }
    let scope = &received.payload().resource_spans[0].scope_spans[0];
    assert_eq!(
        scope.scope.as_ref().expect("a scope").name,
        "llamatelemetry"
    );
    assert_eq!(
        scope.schema_url,
        "https://opentelemetry.io/schemas/gen-ai/1.42.0"
    );
}

fn resource(received: &Received) -> BTreeMap<String, String> {
    let payload = received.payload();
    let resource = payload.resource_spans[0]
        .resource
        .as_ref()
        .expect("a resource");
    resource
        .attributes
        .iter()
        .map(|attribute| {
            let value = attribute
                .value
                .as_ref()
                .and_then(|value| value.value.as_ref());
            (attribute.key.clone(), format!("{value:?}"))
        })
        .collect()
}

#[test]
fn protobuf_is_the_default_and_the_path_is_added() {
    let receiver = Receiver::start(&[Reply::ok()]);
    let record = RequestRecord {
        content: Some(content()),
        ..chat()
    };
    let request = send(&receiver, &[], record.clone());
    assert_eq!(request.path, "/v1/traces");
    assert_eq!(request.headers["content-type"], "application/x-protobuf");
    assert!(!request.headers.contains_key("content-encoding"));
    assert!(request.headers["user-agent"].starts_with("llamatelemetry/"));
    check(&request, &record);
    let resource = resource(&request);
    assert!(resource["service.name"].contains("llamatelemetry"));
    assert!(resource["telemetry.sdk.language"].contains("rust"));
    assert!(receiver.already().is_none(), "one batch");
}

#[test]
fn json_gzip_headers_and_resource_are_as_asked_for() {
    let receiver = Receiver::start(&[Reply::ok()]);
    let own = format!("{}/custom/path?x=1", receiver.url());
    let request = send(
        &receiver,
        &[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", own.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Basic%20c2VjcmV0,x-tenant=a",
            ),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=ignored,deployment.environment.name=a%20b",
            ),
            ("OTEL_SERVICE_NAME", "my-service"),
        ],
        chat(),
    );
    assert_eq!(request.path, "/custom/path?x=1");
    assert_eq!(request.headers["content-type"], "application/json");
    assert_eq!(request.headers["content-encoding"], "gzip");
    assert_eq!(request.headers["authorization"], "Basic c2VjcmV0");
    assert_eq!(request.headers["x-tenant"], "a");
    check(&request, &chat());
    let resource = resource(&request);
    assert!(resource["service.name"].contains("my-service"));
    assert!(resource["deployment.environment.name"].contains("a b"));
}

#[test]
fn many_requests_travel_in_batches() {
    let receiver = Receiver::start(&[Reply::ok()]);
    let url = receiver.url();
    let telemetry = telemetry(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("{url}/")),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100"),
    ]);
    for _ in 0..100 {
        telemetry.record(Arc::new(RequestRecord {
            trace_id: TraceId::random(),
            span_id: SpanId::random(),
            ..chat()
        }));
    }
    assert!(telemetry.flush(LONG));
    assert_eq!(telemetry.delivery().delivered, 400);
    let mut spans = 0;
    while let Some(received) = receiver.already() {
        assert_eq!(received.path, "/v1/traces");
        let count = received.spans().len();
        assert!(count <= 100);
        spans += count;
    }
    assert_eq!(spans, 400);
}

#[test]
fn sampling_keeps_whole_traces() {
    let receiver = Receiver::start(&[Reply::ok()]);
    let telemetry = telemetry(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
    ]);
    for half in [0_u8, 0xff] {
        let mut id = [1; 16];
        id[8] = half;
        telemetry.record(Arc::new(RequestRecord {
            trace_id: TraceId(id),
            ..chat()
        }));
    }
    assert_eq!(telemetry.shutdown(LONG).delivered, 4);
    let spans = receiver.next().spans();
    assert!(spans.iter().all(|span| span.trace_id[8] == 0));
}

#[test]
fn a_collector_that_is_busy_is_asked_again() {
    let busy = Reply {
        headers: "Retry-After: 0\r\n",
        ..Reply::status("503 Service Unavailable")
    };
    let receiver = Receiver::start(&[busy.clone(), Reply::status("429 Too Many"), Reply::ok()]);
    let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]);
    telemetry.record(Arc::new(chat()));
    assert!(telemetry.flush(LONG));
    assert_eq!(
        telemetry.delivery(),
        Delivery {
            delivered: 4,
            ..Delivery::default()
        }
    );
    let bodies = [
        receiver.next().body,
        receiver.next().body,
        receiver.next().body,
    ];
    assert!(
        bodies[0] == bodies[1] && bodies[1] == bodies[2],
        "the same payload each time"
    );
}

#[test]
fn what_a_collector_refuses_is_counted() {
    let partial = ExportTraceServiceResponse {
        partial_success: Some(ExportTracePartialSuccess {
            rejected_spans: 3,
            error_message: "too old".into(),
        }),
    };
    let rejecting = Reply {
        body: partial.encode_to_vec(),
        ..Reply::ok()
    };
    for (reply, lost) in [(Reply::status("401 Unauthorized"), 4), (rejecting, 3)] {
        let receiver = Receiver::start(&[reply]);
        let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url())]);
        telemetry.record(Arc::new(chat()));
        let delivery = telemetry.shutdown(LONG);
        assert_eq!(delivery.lost, lost);
        assert_eq!(delivery.kept, 0);
        receiver.next();
        assert!(receiver.already().is_none(), "not asked again");
    }
}

#[test]
fn a_redirect_is_not_followed_with_the_keys() {
    let elsewhere = Receiver::start(&[Reply::ok()]);
    let headers: &'static str =
        Box::leak(format!("Location: {}/v1/traces\r\n", elsewhere.url()).into_boxed_str());
    let receiver = Receiver::start(&[Reply {
        headers,
        ..Reply::status("307 Temporary Redirect")
    }]);
    let telemetry = telemetry(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.url()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret"),
    ]);
    telemetry.record(Arc::new(chat()));
    assert_eq!(telemetry.shutdown(LONG).lost, 4);
    assert!(elsewhere.already().is_none());
}

#[test]
fn nobody_there_costs_no_time_at_the_end() {
    let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{NOBODY}"))]);
    telemetry.record(Arc::new(chat()));
    let before = Instant::now();
    let delivery = telemetry.shutdown(Duration::from_secs(2));
    assert!(
        before.elapsed() < Duration::from_secs(2),
        "{:?}",
        before.elapsed()
    );
    assert_eq!(
        delivery,
        Delivery {
            kept: 4,
            ..Delivery::default()
        }
    );
}

#[test]
fn a_collector_that_never_answers_is_left_at_the_deadline() {
    // Takes connections, as the system does for it, and never reads.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{address}"))]);
    telemetry.record(Arc::new(chat()));
    let before = Instant::now();
    assert!(!telemetry.flush(Duration::from_millis(100)));
    let delivery = telemetry.shutdown(Duration::from_millis(400));
    assert!(
        before.elapsed() < Duration::from_secs(5),
        "{:?}",
        before.elapsed()
    );
    assert_eq!(
        delivery,
        Delivery {
            kept: 4,
            ..Delivery::default()
        }
    );
}

#[test]
fn a_full_queue_drops_and_counts() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let telemetry = telemetry(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{address}")),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "8"),
    ]);
    for _ in 0..100 {
        telemetry.record(Arc::new(chat()));
    }
    let delivery = telemetry.shutdown(Duration::from_millis(100));
    // Of a request that was dropped before it became spans nobody knows how many it has.
    let unseen = telemetry.overflowed();
    assert_eq!(delivery.delivered, 0);
    assert_eq!(delivery.kept + 4 * unseen, 400);
    assert_eq!(delivery.lost, 0);
    assert!(telemetry.loss().is_some());
}

#[test]
fn without_variables_nothing_is_sent() {
    let telemetry = telemetry(&[]);
    assert!(!telemetry.is_active());
    telemetry.record(Arc::new(chat()));
    assert_eq!(telemetry.shutdown(LONG), Delivery::default());
}

#[test]
fn certificates_are_read_at_the_start() {
    let (home, mut settings) = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:1")]);
    let mut setup = |path: &std::path::Path| {
        let path = path.display().to_string();
        settings
            .telemetry
            .otel
            .insert("OTEL_EXPORTER_OTLP_CERTIFICATE".into(), path);
        Telemetry::setup(&settings, ResourceFacts::default(), None).expect_err("no certificate")
    };
    let file = home.root().join("ca.pem");
    assert!(matches!(setup(&file), TelemetryError::Certificate { path, .. } if path == file));
    std::fs::write(&file, "no PEM").expect("a file");
    assert!(matches!(setup(&file), TelemetryError::NotPem { path } if path == file));
}

#[test]
fn proxies_and_certificates_are_those_of_the_environment() {
    // A proxy is asked for a tunnel; what it is asked for shows that it was used.
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = proxy.local_addr().expect("an address");
    let (_home, mut settings) = settings(&[(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "http://collector.invalid:4318",
    )]);
    settings.environment = Environment::from_pairs([("http_proxy", format!("http://{address}"))]);
    let telemetry = Telemetry::setup(&settings, ResourceFacts::default(), None).expect("set up");
    telemetry.record(Arc::new(chat()));
    assert!(!telemetry.flush(Duration::from_millis(300)));
    let (connection, _) = proxy.accept().expect("a connection");
    let mut line = String::new();
    BufReader::new(connection)
        .read_line(&mut line)
        .expect("a request");
    assert_eq!(line.trim_end(), "CONNECT collector.invalid:4318 HTTP/1.1");

    settings.environment =
        Environment::from_pairs([("http_proxy", "gopher://user:hidden-value@host")]);
    let setup = |settings: &Settings| Telemetry::setup(settings, ResourceFacts::default(), None);
    let error = setup(&settings).expect_err("no proxy");
    assert!(error.to_string().contains("http_proxy"), "{error}");
    assert!(!format!("{error:?}").contains("hidden-value"));

    settings.environment = Environment::from_pairs([("SSL_CERT_FILE", "/nonexistent.pem")]);
    settings.telemetry.otel.insert(
        "OTEL_EXPORTER_OTLP_ENDPOINT".into(),
        "https://collector.invalid:4318".into(),
    );
    let error = setup(&settings).expect_err("no certificates");
    assert!(error.to_string().contains("SSL_CERT_FILE"), "{error}");
}

#[test]
fn a_batch_that_is_too_large_is_sent_in_parts() {
    let receiver = Receiver::start(&[Reply::status("413 Content Too Large"), Reply::ok()]);
    let url = receiver.url();
    let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())]);
    for _ in 0..2 {
        telemetry.record(Arc::new(chat()));
    }
    // Longer than any time that there is: no reason to panic.
    let delivery = telemetry.shutdown(Duration::MAX);
    assert_eq!((delivery.delivered, delivery.lost), (8, 0));
    let sent: Vec<usize> = (0..3).map(|_| receiver.next().spans().len()).collect();
    assert_eq!(sent, [8, 4, 4]);
}

#[test]
fn a_collector_that_asks_for_an_endless_pause_does_not_end_the_delivery() {
    let busy = Reply {
        headers: "Retry-After: 18446744073709551615\r\n",
        ..Reply::status("503 Service Unavailable")
    };
    let receiver = Receiver::start(&[busy, Reply::ok()]);
    let url = receiver.url();
    let telemetry = telemetry(&[("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str())]);
    telemetry.record(Arc::new(chat()));
    // A flush gives up at the pause, the next one does not wait for its end.
    let end = Instant::now() + LONG;
    while telemetry.delivery().delivered < 4 && Instant::now() < end {
        telemetry.flush(LONG);
    }
    assert_eq!(telemetry.delivery().delivered, 4);
}
