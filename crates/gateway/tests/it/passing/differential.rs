//! The same requests to llama-server itself and through the gateway: the same bytes come back.

use crate::{gateway, wire};
use llamatelemetry::{LoadOptions, ServerManager};
use llamatelemetry_api::Address;
use llamatelemetry_testbed as testbed;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// Fields that differ from run to run: times, and ids that are drawn.
const DRAWN: &[&str] = &[
    "id",
    "item_id",
    "created",
    "created_at",
    "completed_at",
    "prompt_ms",
    "predicted_ms",
    "prompt_per_token_ms",
    "predicted_per_token_ms",
    "prompt_per_second",
    "predicted_per_second",
    "t_prompt_processing",
    "t_token_generation",
    "seed",
    "modified_at",
    "task_id",
    "id_task",
    "call_id",
    "media_marker",
];
/// Headers of one connection, those that the gateway adds, and those by which it says which web
/// pages may call.
const OURS: &[&str] = &[
    "connection",
    "keep-alive",
    "transfer-encoding",
    "date",
    "x-request-id",
    "server-timing",
    "traceparent",
    "content-length",
    "access-control-allow-origin",
    "access-control-allow-credentials",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "vary",
];

struct Asked {
    method: &'static str,
    path: &'static str,
    body: &'static str,
}

const fn post(path: &'static str, body: &'static str) -> Asked {
    Asked {
        method: "POST",
        path,
        body,
    }
}

const fn get(path: &'static str) -> Asked {
    Asked {
        method: "GET",
        path,
        body: "",
    }
}

const REQUESTS: &[Asked] = &[
    get("/health"),
    get("/v1/health"),
    get("/props"),
    get("/slots"),
    get("/lora-adapters"),
    post(
        "/v1/chat/completions",
        r#"{"messages":[{"role":"user","content":"Say hello."}],"max_tokens":8,"temperature":0,"seed":1}"#,
    ),
    post(
        "/v1/chat/completions",
        r#"{"messages":[{"role":"user","content":"Say hello."}],"max_tokens":8,"temperature":0,"seed":1,"stream":true,"stream_options":{"include_usage":true}}"#,
    ),
    post(
        "/chat/completions",
        r#"{"messages":[{"role":"user","content":"Zwei."}],"max_tokens":4,"temperature":0,"n":2}"#,
    ),
    post(
        "/v1/chat/completions",
        r#"{"messages":[{"role":"user","content":"A city?"}],"max_tokens":24,"temperature":0,"response_format":{"type":"json_schema","json_schema":{"schema":{"type":"object","properties":{"city":{"enum":["Rome"]}},"required":["city"]}}}}"#,
    ),
    post(
        "/v1/completions",
        r#"{"prompt":"Once upon","max_tokens":8,"temperature":0}"#,
    ),
    post(
        "/v1/completions",
        r#"{"prompt":"Once upon","max_tokens":8,"temperature":0,"stream":true}"#,
    ),
    post(
        "/completion",
        r#"{"prompt":"Once upon","n_predict":8,"temperature":0}"#,
    ),
    post(
        "/completion",
        r#"{"prompt":"Once upon","n_predict":8,"temperature":0,"stream":true}"#,
    ),
    post(
        "/completions",
        r#"{"prompt":["a","b"],"n_predict":2,"temperature":0}"#,
    ),
    post(
        "/v1/responses",
        r#"{"input":"Say hello.","max_output_tokens":8,"temperature":0}"#,
    ),
    post(
        "/v1/responses",
        r#"{"input":"Say hello.","max_output_tokens":8,"temperature":0,"stream":true}"#,
    ),
    post(
        "/v1/messages",
        r#"{"messages":[{"role":"user","content":"Say hello."}],"max_tokens":8,"temperature":0}"#,
    ),
    post(
        "/v1/messages",
        r#"{"messages":[{"role":"user","content":"Say hello."}],"max_tokens":8,"temperature":0,"stream":true}"#,
    ),
    post(
        "/v1/messages/count_tokens",
        r#"{"messages":[{"role":"user","content":"Say hello."}]}"#,
    ),
    post(
        "/v1/chat/completions/input_tokens",
        r#"{"messages":[{"role":"user","content":"x"}]}"#,
    ),
    post(
        "/v1/chat/completions/control",
        r#"{"id":"none","action":"none"}"#,
    ),
    post(
        "/infill",
        r#"{"input_prefix":"def f(","input_suffix":"return 1","n_predict":2,"temperature":0}"#,
    ),
    post(
        "/tokenize",
        r#"{"content":"Hello wörld","with_pieces":true}"#,
    ),
    post("/detokenize", r#"{"tokens":[1,2,3]}"#),
    post(
        "/apply-template",
        r#"{"messages":[{"role":"user","content":"x"}]}"#,
    ),
    post("/v1/embeddings", r#"{"input":"x"}"#),
    post("/embedding", r#"{"content":"x"}"#),
    post("/v1/rerank", r#"{"query":"x","documents":["y"]}"#),
    post("/slots/0?action=erase", ""),
    post("/slots/0?action=save", r#"{"filename":"x.bin"}"#),
    post("/slots/9?action=none", "{}"),
    post("/lora-adapters", "[]"),
    post("/props", "{}"),
    get("/v1/stream?conv_id=none"),
    post("/v1/streams/lookup", r#"{"conversation_ids":["a"]}"#),
    Asked {
        method: "DELETE",
        path: "/v1/stream?conv_id=none",
        body: "",
    },
    // Errors are theirs too.
    post("/v1/chat/completions", r#"{"messages":"#),
    post(
        "/v1/chat/completions",
        r#"{"messages":[],"max_tokens":2,"temperature":0}"#,
    ),
    post("/v1/messages", "not json"),
    post("/completion", r#"{"prompt":1.5,"stream":true}"#),
    post("/v1/chat/completions", ""),
    get("/v1/chat/completions"),
    Asked {
        method: "DELETE",
        path: "/v1/chat/completions",
        body: "",
    },
    Asked {
        method: "PUT",
        path: "/props",
        body: "{}",
    },
    Asked {
        method: "PATCH",
        path: "/x",
        body: "{}",
    },
    Asked {
        method: "OPTIONS",
        path: "/v1/chat/completions",
        body: "",
    },
    Asked {
        method: "HEAD",
        path: "/health",
        body: "",
    },
    Asked {
        method: "HEAD",
        path: "/unknown",
        body: "",
    },
    get("/unknown/path?with=query&x=%2F"),
    post("/unknown", "{}"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_changes_no_byte() {
    let gateway = gateway().await;
    let mut settings = testbed::settings();
    settings.server.context = Some(1024);
    settings.server.parallel = Some(2);
    let options = LoadOptions::new(settings);
    let direct = ServerManager::start_server("smollm2", &options)
        .await
        .unwrap();
    let direct = Arc::new(direct);
    let run = direct.live().await.unwrap();
    let key = {
        let mut headers = http::HeaderMap::new();
        run.client().authorize(&mut headers);
        headers
            .get(http::header::AUTHORIZATION)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let address = gateway.address();
    let host = address.to_string();
    let mut differences = String::new();
    for asked in REQUESTS {
        let theirs = match run.client().address() {
            Address::Unix(path) => ask(
                UnixStream::connect(path).unwrap(),
                asked,
                &host,
                key.as_deref(),
            ),
            Address::Tcp(at) => ask(
                TcpStream::connect(at).unwrap(),
                asked,
                &host,
                key.as_deref(),
            ),
        };
        let ours = ask(TcpStream::connect(address).unwrap(), asked, &host, None);
        if ours != theirs {
            let Asked { method, path, body } = asked;
            write!(
                differences,
                "\n{method} {path} {body}\n{theirs:#?}\n{ours:#?}"
            )
            .unwrap();
        }
    }
    assert!(differences.is_empty(), "{differences}");
    // The one answer of our own has all that theirs says of the model. What it is called is ours.
    let theirs = run.client().get("/v1/models").await.unwrap();
    let theirs: Value = serde_json::from_slice(&theirs).unwrap();
    for path in ["/v1/models", "/models"] {
        let ours = wire::get(address, path, &[]);
        let ours: Value = serde_json::from_str(&ours.body).unwrap();
        for (field, value) in theirs["data"][0].as_object().unwrap() {
            if !["id", "aliases", "created"].contains(&field.as_str()) {
                assert_eq!(&ours["data"][0][field], value, "{path}: {field}");
            }
        }
        assert_eq!(ours["object"], theirs["object"]);
    }
    gateway.drain(Duration::from_secs(10)).await;
}

/// An answer without what differs from run to run.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: String,
    headers: Vec<String>,
    chunked: bool,
    body: String,
}

fn ask(mut server: impl Read + Write, asked: &Asked, host: &str, key: Option<&str>) -> Answer {
    let Asked { method, path, body } = asked;
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    if !body.is_empty() {
        let length = body.len();
        write!(
            request,
            "Content-Type: application/json\r\nContent-Length: {length}\r\n"
        )
        .unwrap();
    }
    if let Some(key) = key {
        write!(request, "Authorization: {key}\r\n").unwrap();
    }
    write!(request, "\r\n{body}").unwrap();
    server.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    server.read_to_end(&mut bytes).unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("{method} {path}: no whole head"));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let body = &bytes[end + 4..];
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    let name = |line: &str| {
        line.split(':')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked {
        unchunk(body)
    } else {
        body.to_vec()
    };
    Answer {
        // The phrase behind the number is nobody's business.
        status: status.split(' ').nth(1).unwrap_or_default().to_owned(),
        headers: lines
            .filter(|line| !OURS.contains(&name(line).as_str()))
            .map(str::to_owned)
            .collect(),
        chunked,
        body: mask(&String::from_utf8(body).unwrap()),
    }
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = std::str::from_utf8(&bytes[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[end + 2..end + 2 + size]);
        bytes = &bytes[end + 2 + size + 2..];
    }
}

/// The text with the values of drawn fields left out.
fn mask(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("\":") {
        let (before, after) = rest.split_at(at + 2);
        masked.push_str(before);
        let field = before[..at].rsplit('"').next().unwrap_or_default();
        let value = after.find([',', '}', ']']).unwrap_or(after.len());
        rest = if DRAWN.contains(&field) {
            &after[value..]
        } else {
            after
        };
    }
    masked + rest
}
