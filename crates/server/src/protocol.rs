//! What a server says of itself: state lines on standard output, addresses in its log.

use llamatelemetry_api::Address;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// With this variable set, llama-server reports its state and ends when its input does.
pub(crate) const CHILD_MODE: &str = "LLAMA_SERVER_ROUTER_PORT";
/// What a state line begins with.
const STATE: &str = "cmd_child_to_router:state:";
/// The line on its input that ends the server in good order.
pub(crate) const END: &[u8] = b"cmd_router_to_child:exit\n";
/// What the log says when a config file changes the flags.
const CONFIG_FILE: &str = "using config file: ";

/// A state that the child reports.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    /// It loads; the part it loads now, and how much of that part, 0 to 1.
    Loading { part: String, done: f64 },
    /// It serves; what it tells of its model.
    Ready(serde_json::Value),
    /// A state this code does not know.
    Other,
}

#[derive(Deserialize)]
struct StateLine {
    state: String,
    #[serde(default)]
    payload: serde_json::Value,
}

#[derive(Deserialize)]
struct Loading {
    #[serde(default)]
    stages: Vec<String>,
    #[serde(default)]
    current: String,
    #[serde(default)]
    value: f64,
}

/// Reads a state line; `None` for any other line.
pub(crate) fn state(line: &str) -> Option<State> {
    let line: StateLine = serde_json::from_str(line.strip_prefix(STATE)?).ok()?;
    Some(match line.state.as_str() {
        "ready" => State::Ready(line.payload),
        "loading" => match serde_json::from_value::<Loading>(line.payload) {
            Ok(loading) => State::Loading {
                done: overall(&loading),
                part: loading.current,
            },
            Err(_) => State::Other,
        },
        _ => State::Other,
    })
}

/// How much of all parts is loaded, 0 to 1, taking the parts as equally long.
fn overall(loading: &Loading) -> f64 {
    let parts = loading.stages.len().max(1) as f64;
    let before = loading
        .stages
        .iter()
        .position(|stage| *stage == loading.current)
        .unwrap_or(0) as f64;
    ((before + loading.value.clamp(0.0, 1.0)) / parts).clamp(0.0, 1.0)
}

/// The address in a log line that says where the server listens.
pub(crate) fn listening(text: &str) -> Option<Address> {
    let rest = text.split_once("listening")?.1;
    if let Some((_, path)) = rest.split_once("unix://") {
        return Some(Address::Unix(PathBuf::from(first_word(path))));
    }
    if let Some((_, authority)) = rest.split_once("http://") {
        return first_word(authority).parse().ok().map(Address::Tcp);
    }
    // Builds of 2024: "HTTP server is listening, hostname: 127.0.0.1, port: 41234, http threads".
    let host: IpAddr = first_word(rest.split_once("hostname: ")?.1).parse().ok()?;
    let port: u16 = first_word(rest.split_once("port: ")?.1).parse().ok()?;
    Some(Address::Tcp(SocketAddr::new(host, port)))
}

fn first_word(text: &str) -> &str {
    text.split([' ', ',', '\t'])
        .next()
        .unwrap_or_default()
        .trim_end_matches('/')
}

/// The config file that a log line says is used.
pub(crate) fn config_file(text: &str) -> Option<PathBuf> {
    let path = text.split_once(CONFIG_FILE)?.1.trim();
    (!path.is_empty()).then(|| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read() {
        let line = r#"cmd_child_to_router:state:{"state":"loading","payload":{"stages":["text_model","mmproj"],"current":"mmproj","value":0.5}}"#;
        assert_eq!(
            state(line),
            Some(State::Loading {
                part: "mmproj".into(),
                done: 0.75
            })
        );
        let ready = r#"cmd_child_to_router:state:{"state":"ready","payload":{"id":"m"}}"#;
        assert_eq!(
            state(ready),
            Some(State::Ready(serde_json::json!({"id": "m"})))
        );
        let unknown = r#"cmd_child_to_router:state:{"state":"sleeping"}"#;
        assert_eq!(state(unknown), Some(State::Other));
        assert_eq!(state("anything else"), None);
        assert_eq!(state("cmd_child_to_router:state:{"), None);
    }

    #[test]
    fn addresses_are_found_in_old_and_new_logs() {
        let tcp = |text: &str| Some(Address::Tcp(text.parse().unwrap()));
        assert_eq!(
            listening("srv  llama_server: listening on http://127.0.0.1:37943"),
            tcp("127.0.0.1:37943")
        );
        assert_eq!(
            listening(
                "main: server is listening on http://127.0.0.1:8080 - starting the main loop"
            ),
            tcp("127.0.0.1:8080")
        );
        assert_eq!(
            listening(
                "main: HTTP server is listening, hostname: 127.0.0.1, port: 41234, http threads: 3"
            ),
            tcp("127.0.0.1:41234")
        );
        assert_eq!(
            listening("srv  llama_server: listening on unix:///run/user/0/x/a.sock"),
            Some(Address::Unix("/run/user/0/x/a.sock".into()))
        );
        assert_eq!(listening("srv  llama_server: model loaded"), None);
        assert_eq!(listening("listening on http://nowhere"), None);
    }

    #[test]
    fn config_files_are_found() {
        assert_eq!(
            config_file("common: using config file: /etc/llama.cpp/config.ini"),
            Some("/etc/llama.cpp/config.ini".into())
        );
        assert_eq!(config_file("using config file: "), None);
    }
}
