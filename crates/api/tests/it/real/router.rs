//! Routers: one server for several models.

use super::place::{PATIENCE, refusal};
use llamatelemetry_api::{Address, Endpoints as _, Health, TokenizeRequest, blocking};
use llamatelemetry_testbed::{ScratchHome, StubServer, scratch_home, until};
use serde_json::json;
use std::process::{Child, Command, Stdio};

/// A router of two copies of the alphabet's model, ended with the value.
struct Router {
    client: blocking::Client,
    child: Child,
    _hub: StubServer,
    _folder: ScratchHome,
}

/// A model hub with one repository of one file.
fn hub() -> StubServer {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let file = std::fs::read(llamatelemetry_testbed::proof_model()).unwrap();
    StubServer::tcp(move |request, reply| {
        let path = request.path.as_str();
        if path == "/api/models/nobody/letters/refs" {
            return reply.json(
                200,
                &json!({"branches": [{"name": "main", "targetCommit": commit}]}),
            );
        }
        if path.starts_with("/api/models/nobody/letters/tree/") {
            let file = json!({"type": "file", "path": "letters-Q4_K_M.gguf", "size": file.len(),
                "lfs": {"oid": "0".repeat(64), "size": file.len()}});
            return reply.json(200, &json!([file]));
        }
        if !path.contains("/resolve/") {
            return reply.json(404, &json!({}));
        }
        if request.method == "HEAD" {
            let length = file.len().to_string();
            return reply.head(200, &[("Content-Length", &length), ("ETag", "\"1\"")]);
        }
        reply.whole(200, "application/octet-stream", &file)
    })
}

impl Drop for Router {
    fn drop(&mut self) {
        // Its models' servers end with its standard input's end or its own; it may be gone.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn router() -> Router {
    let runtime = llamatelemetry_testbed::runtime();
    let folder = scratch_home();
    let models = folder.root().join("models");
    std::fs::create_dir(&models).unwrap();
    for name in ["one.gguf", "two.gguf"] {
        std::fs::copy(llamatelemetry_testbed::proof_model(), models.join(name)).unwrap();
    }
    let socket = folder.root().join("router.sock");
    let hub = hub();
    let Address::Tcp(hub_address) = hub.address() else {
        unreachable!("the hub listens on TCP")
    };
    let endpoint = format!("http://{hub_address}/");
    let mut command = Command::new(&runtime.server);
    command
        .env_clear()
        .envs(folder.environment().iter())
        .env(
            "LD_LIBRARY_PATH",
            std::env::join_paths(&runtime.library_dirs).unwrap(),
        )
        .env("MODEL_ENDPOINT", endpoint)
        .args([
            "--host",
            socket.to_str().unwrap(),
            "--models-dir",
            models.to_str().unwrap(),
        ])
        .args(["--models-max", "1", "--ctx-size", "256", "--threads", "1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.spawn().unwrap();
    let client = blocking::Client::new(Address::Unix(socket), None).unwrap();
    let router = Router {
        client,
        child,
        _hub: hub,
        _folder: folder,
    };
    until("a router", PATIENCE, || {
        let health = router.client.health().ok()?;
        (health == Health::Ready).then_some(())
    });
    router
}

impl Router {
    fn status(&self, model: &str) -> Option<String> {
        let models = self.client.router_models().unwrap().data;
        let model = models.into_iter().find(|entry| entry.id == model)?;
        Some(model.status.value)
    }

    fn until(&self, model: &str, status: &str) {
        until(status, PATIENCE, || {
            (self.status(model).as_deref() == Some(status)).then_some(())
        });
    }
}

#[test]
fn router_models() {
    let router = router();
    let models = router.client.router_models().unwrap();
    let mut names: Vec<_> = models.data.iter().map(|model| model.id.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["one", "two"]);
    assert!(
        models
            .data
            .iter()
            .all(|model| model.status.value == "unloaded" && !model.can_remove)
    );
    // A router's props are its own; those of a model are asked by its name.
    assert_eq!(router.client.props().unwrap().total_slots, 0);
}

#[test]
fn router_load() {
    let router = router();
    assert!(router.client.router_load("one").unwrap().success);
    router.until("one", "loaded");
    let one = router.client.for_model("one");
    assert_eq!(
        one.tokenize(&TokenizeRequest::new("a")).unwrap().ids(),
        [3 + 0x61]
    );
    assert!(one.props().unwrap().model_path.ends_with("one.gguf"));
    assert_eq!(refusal(router.client.router_load("one")).0, 400);
    assert_eq!(refusal(router.client.router_load("three")).0, 404);
}

#[test]
fn router_unload() {
    let router = router();
    assert_eq!(refusal(router.client.router_unload("one")).0, 400);
    router.client.router_load("one").unwrap();
    router.until("one", "loaded");
    assert!(router.client.router_unload("one").unwrap().success);
    router.until("one", "unloaded");
}

#[test]
fn router_events() {
    let router = router();
    let events = router.client.router_events().unwrap();
    router.client.router_load("two").unwrap();
    let mut seen = events
        .map(Result::unwrap)
        .filter(|event| event.model == "two");
    let loaded = seen.any(|event| event.status() == Some("loaded"));
    assert!(loaded, "the stream ended");
}

/// A stream of events has no slot: what is seen is that the router goes on without its reader.
#[test]
fn router_events_cut() {
    let router = router();
    let mut events = router.client.router_events().unwrap();
    router.client.router_load("two").unwrap();
    events.next().unwrap().unwrap();
    drop(events);
    router.until("two", "loaded");
}

/// What the router knows the downloaded model by.
const DOWNLOADED: &str = "nobody/letters:Q4_K_M";

/// Has the router download the model and waits for it.
fn download(router: &Router) {
    let events = router.client.router_events().unwrap();
    assert!(router.client.router_download(DOWNLOADED).unwrap().success);
    let mut events = events.map(Result::unwrap);
    let finished = events.any(|event| event.event == "download_finished");
    assert!(finished, "the stream ended");
    router.until(DOWNLOADED, "unloaded");
}

#[test]
fn router_download() {
    let router = router();
    download(&router);
    router.client.router_load(DOWNLOADED).unwrap();
    router.until(DOWNLOADED, "loaded");
    assert_eq!(refusal(router.client.router_download("")).0, 400);
}

#[test]
fn router_remove() {
    let router = router();
    download(&router);
    assert!(router.client.router_remove(DOWNLOADED).unwrap().success);
    until("the end of the model", PATIENCE, || {
        let models = router.client.router_models().unwrap().data;
        (!models.iter().any(|model| model.id == DOWNLOADED)).then_some(())
    });
    // Only what a router downloaded itself can be removed.
    let (_, said) = refusal(router.client.router_remove("one"));
    assert!(said.contains("not removable"), "{said}");
    assert_eq!(router.status("one").as_deref(), Some("unloaded"));
}
