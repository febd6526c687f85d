//! Who is let in.

use crate::wire::{get, send};
use llamatelemetry::LoadOptions;
use llamatelemetry::settings::Settings;
use llamatelemetry_gateway::{Gateway, GatewayError, KeyFile, NewKey, ServePlan};
use llamatelemetry_testbed as testbed;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

/// Settings of a home of their own.
pub(crate) fn settings() -> (testbed::ScratchHome, Settings) {
    let home = testbed::scratch_home();
    let mut settings = home.settings();
    settings.serve.port = 0;
    settings.serve.otlp_http = 0;
    settings.serve.otlp_grpc = 0;
    (home, settings)
}

/// A gateway without models: who gets through the guard is told that there is none.
pub(crate) async fn start(settings: &Settings) -> Result<Gateway, GatewayError> {
    Gateway::start(ServePlan {
        models: Vec::new(),
        options: LoadOptions::new(settings.clone()),
        telemetry: None,
    })
    .await
}

/// What the guard let through: it was answered by whatever lies behind it.
pub(crate) fn let_in(status: u16) -> bool {
    !matches!(status, 0 | 400 | 401 | 403)
}

fn key(settings: &Settings, name: &str) -> String {
    let named = NewKey {
        name: name.into(),
        ..NewKey::default()
    };
    let (_, key) = KeyFile::of(&settings.home).add(named).unwrap();
    key.expose().to_owned()
}

fn with_host(address: SocketAddr, host: &str) -> u16 {
    let request = format!("GET /props HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
    send(address, &request).status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_ours_is_refused_also_on_loopback() {
    let (_home, mut settings) = settings();
    settings.serve.hosts = vec!["llm.example".into()];
    let gateway = start(&settings).await.unwrap();
    let address = gateway.address();
    for own in ["localhost", "127.0.0.1:1", "llm.example", "[::1]:80"] {
        let status = with_host(address, &format!("Host: {own}\r\n"));
        assert!(let_in(status), "{own}: {status}");
    }
    for foreign in [
        "Host: evil.example\r\n",
        "Host: localhost.evil.example\r\n",
        "Host: localhost\r\nHost: evil.example\r\n",
        "",
    ] {
        let status = with_host(address, foreign);
        assert!(!let_in(status), "{foreign}: {status}");
    }
    let whole =
        "GET http://evil.example/props HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(send(address, whole).status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_may_call_only_where_they_are_listed() {
    let (_home, mut settings) = settings();
    let gateway = start(&settings).await.unwrap();
    let address = gateway.address();
    let page = "Origin: https://app.example";
    let refused = get(address, "/props", &[page]);
    assert_eq!(refused.status, 403, "{refused:?}");
    assert_eq!(refused.header("access-control-allow-origin"), None);
    assert_eq!(get(address, "/props", &["Origin: null"]).status, 403);
    assert!(let_in(
        get(address, "/props", &[&format!("Origin: http://{address}")]).status
    ));

    settings.serve.cors_origins = vec!["https://app.example".into()];
    gateway.reload(&settings).unwrap();
    let answered = get(address, "/props", &[page]);
    assert!(let_in(answered.status), "{answered:?}");
    assert_eq!(
        answered.header("access-control-allow-origin"),
        Some("https://app.example")
    );
    let preflight = format!(
        "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: {address}\r\n{page}\r\n\
         Access-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: authorization, content-type\r\nConnection: close\r\n\r\n"
    );
    let told = send(address, &preflight);
    assert_eq!(told.status, 204, "{told:?}");
    assert_eq!(
        told.header("access-control-allow-headers"),
        Some("authorization, content-type")
    );
    assert_eq!(
        get(address, "/props", &["Origin: https://other.example"]).status,
        403
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_needed_once_there_is_one() {
    let (_home, settings) = settings();
    let gateway = start(&settings).await.unwrap();
    let address = gateway.address();
    assert!(let_in(get(address, "/props", &[]).status));
    // Clients that must send some key find a server without keys open.
    assert!(let_in(
        get(address, "/props", &["Authorization: Bearer none"]).status
    ));

    let key = key(&settings, "laptop");
    gateway.reload(&settings).unwrap();
    let refused = get(address, "/v1/models", &[]);
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("www-authenticate"), Some("bearer"));
    assert!(
        refused.body.contains("authentication_error"),
        "{}",
        refused.body
    );
    let bearer = format!("Authorization: Bearer {key}");
    assert!(let_in(get(address, "/props", &[&bearer]).status));
    assert!(let_in(
        get(address, "/props", &[&format!("x-api-key: {key}")]).status
    ));
    let wrong = get(address, "/props", &["x-api-key: llt_wrong"]);
    assert_eq!(wrong.status, 401);
    assert!(!wrong.body.contains("llt_wrong"), "{}", wrong.body);
    // Whoever watches over it on this machine needs no secret.
    assert!(let_in(get(address, "/livez", &[]).status));

    KeyFile::of(&settings.home).revoke("laptop").unwrap();
    gateway.reload(&settings).unwrap();
    assert_eq!(get(address, "/props", &[&bearer]).status, 401);
    assert_eq!(get(address, "/props", &[]).status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_with_its_time() {
    let (_home, settings) = settings();
    let added = KeyFile::of(&settings.home).add(NewKey {
        name: "short".into(),
        lifetime: Some(Duration::from_secs(2)),
        ..NewKey::default()
    });
    let (entry, key) = added.unwrap();
    let gateway = start(&settings).await.unwrap();
    let bearer = format!("Authorization: Bearer {}", key.expose());
    assert!(let_in(get(gateway.address(), "/props", &[&bearer]).status));
    let over = || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        (now.unwrap().as_secs() >= entry.expires.unwrap()).then_some(())
    };
    testbed::until("the key's end", Duration::from_secs(5), over);
    let refused = get(gateway.address(), "/props", &[&bearer]);
    assert_eq!(refused.status, 401);
    assert!(refused.body.contains("over"), "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_may_stand_in_a_file() {
    let (home, mut settings) = settings();
    let path = home.root().join("api-keys");
    std::fs::write(&path, "# mine\none\n\ntwo\n").unwrap();
    settings.serve.api_key_file = Some(path.clone());
    let gateway = start(&settings).await.unwrap();
    let status =
        |key: &str| get(gateway.address(), "/props", &[&format!("x-api-key: {key}")]).status;
    assert!(let_in(status("one")) && let_in(status("two")));
    assert_eq!((status("# mine"), status("three")), (401, 401));
    std::fs::write(&path, "\n").unwrap();
    let empty = gateway.reload(&settings);
    assert!(matches!(empty, Err(GatewayError::Keys(_))), "{empty:?}");
    // What is wrong changes nothing.
    assert!(let_in(status("one")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_is_let_in_only_by_a_key() {
    let (_home, mut settings) = settings();
    settings.serve.host = [0, 0, 0, 0].into();
    let open = start(&settings).await;
    assert!(
        matches!(open, Err(GatewayError::PublicWithoutKey { .. })),
        "{open:?}"
    );
    let key = key(&settings, "laptop");
    let gateway = start(&settings).await.unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], gateway.address().port()));
    assert_eq!(get(address, "/props", &[]).status, 401);
    assert!(let_in(
        get(address, "/props", &[&format!("x-api-key: {key}")]).status
    ));
    KeyFile::of(&settings.home).revoke("laptop").unwrap();
    let open = start(&settings).await;
    assert!(
        matches!(open, Err(GatewayError::PublicWithoutKey { .. })),
        "{open:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_its_models_and_its_limits() {
    let (_home, mut settings) = settings();
    settings.runtime.server_path = Some(testbed::runtime().server);
    settings.server.context = Some(512);
    let keys = KeyFile::of(&settings.home);
    let add = |name: &str, models: &[&str], requests| {
        let added = keys.add(NewKey {
            name: name.into(),
            models: models.iter().map(ToString::to_string).collect(),
            requests_per_minute: requests,
            ..NewKey::default()
        });
        added.unwrap().1.expose().to_owned()
    };
    let (elsewhere, once) = (
        add("elsewhere", &["other"], None),
        add("once", &[], Some(1)),
    );
    let gateway = Gateway::start(ServePlan {
        models: vec![testbed::smollm2().path.display().to_string()],
        options: LoadOptions::new(settings.clone()),
        telemetry: None,
    })
    .await
    .unwrap();
    let address = gateway.address();
    let ask = |path: &str, key: &str| {
        let body =
            r#"{"model":"other","max_tokens":1,"messages":[{"role":"user","content":"Hi"}]}"#;
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nx-api-key: {key}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        send(address, &request)
    };
    // The name that the client uses changes nothing: what would answer is not its model.
    let refused = ask("/v1/messages", &elsewhere);
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(
        refused.body.starts_with(r#"{"type":"error""#),
        "{refused:?}"
    );
    assert_eq!(ask("/v1/chat/completions", &once).status, 200);
    let limited = ask("/v1/chat/completions", &once);
    assert_eq!(limited.status, 429, "{limited:?}");
    let pause: u64 = limited.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&pause), "{pause}");
    gateway.drain(Duration::from_secs(10)).await;
}
