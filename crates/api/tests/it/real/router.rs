//! Routers: one server for several models.

use super::place::{PATIENCE, refusal};
use llamatelemetry_api::{Address, Endpoints as _, TokenizeRequest, blocking};
use llamatelemetry_testbed::{ScratchHome, scratch_home, until};
use std::process::{Child, Command, Stdio};

/// A router of two copies of the alphabet's model, ended with the value.
struct Router {
    client: blocking::Client,
    child: Child,
    _folder: ScratchHome,
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
    let mut command = Command::new(&runtime.server);
    command
        .env_clear()
        .envs(folder.environment().iter())
        .env(
            "LD_LIBRARY_PATH",
            std::env::join_paths(&runtime.library_dirs).unwrap(),
        )
        .args([
            "--host",
            socket.to_str().unwrap(),
            "--models-dir",
            models.to_str().unwrap(),
        ])
        .args([
            "--models-max",
            "1",
            "--ctx-size",
            "256",
            "--threads",
            "1",
            "--offline",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.spawn().unwrap();
    let client = blocking::Client::new(Address::Unix(socket), None).unwrap();
    let router = Router {
        client,
        child,
        _folder: folder,
    };
    until("a router", PATIENCE, || router.client.health().ok());
    router
}

impl Router {
    fn status(&self, model: &str) -> String {
        let models = self.client.router_models().unwrap().data;
        let model = models.into_iter().find(|entry| entry.id == model).unwrap();
        model.status.value
    }

    fn until(&self, model: &str, status: &str) {
        until(status, PATIENCE, || {
            (self.status(model) == status).then_some(())
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

/// The model hub is not asked in tests: what is seen is that the router cannot reach it.
#[test]
fn router_download() {
    let router = router();
    let (status, _) = refusal(router.client.router_download("nobody/nothing:Q4_K_M"));
    assert!(status >= 400, "{status}");
    assert_eq!(refusal(router.client.router_download("")).0, 400);
}

/// Only what a router downloaded itself can be removed: what is seen is its refusal.
#[test]
fn router_remove() {
    let router = router();
    let (_, said) = refusal(router.client.router_remove("one"));
    assert!(said.contains("not removable"), "{said}");
    assert_eq!(router.status("one"), "unloaded");
}
