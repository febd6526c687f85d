//! Tools that the server runs.

use super::place::{Place, alphabet, refusal};
use llamatelemetry_api::{Endpoints as _, RunToolRequest};
use serde_json::json;

fn running() -> Place {
    alphabet(&["--tools", "read_file,exec_shell_command"])
}

fn shell(command: &str) -> RunToolRequest {
    RunToolRequest {
        tool: "exec_shell_command".into(),
        params: [("command".to_owned(), json!(command))]
            .into_iter()
            .collect(),
        ..RunToolRequest::default()
    }
}

#[test]
fn tools() {
    let tools = running().tools().unwrap();
    let mut names: Vec<_> = tools.iter().map(|tool| tool.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["exec_shell_command", "read_file"]);
    assert!(tools[0].definition["function"]["parameters"].is_object());
    let (status, said) = refusal(alphabet(&[]).tools());
    assert_eq!(status, 403);
    assert!(said.contains("disabled"), "{said}");
}

#[test]
fn run_tool() {
    let server = running();
    let answer = server.run_tool(&shell("echo hello")).unwrap();
    assert!(answer.to_string().contains("hello"), "{answer}");
    let unknown = RunToolRequest {
        tool: "none".into(),
        ..RunToolRequest::default()
    };
    assert_eq!(refusal(server.run_tool(&unknown)).0, 404);
}

#[test]
fn run_tool_events() {
    let server = running();
    let events = server
        .run_tool_events(&shell("echo one; echo two"))
        .unwrap();
    let events: Vec<_> = events.map(Result::unwrap).collect();
    let written: String = events
        .iter()
        .filter_map(|event| event.chunk.as_deref())
        .collect();
    assert!(written.contains("one\ntwo"), "{written}");
    assert!(events.last().unwrap().done);
}

/// A tool has no slot: what is seen is that the command ends with its stream.
#[test]
fn run_tool_events_cut() {
    let folder = llamatelemetry_testbed::scratch_home();
    let file = folder.root().join("ticks");
    let server = running();
    let command = format!(
        "while :; do echo tick | tee -a '{}'; sleep 0.05; done",
        file.display()
    );
    let mut stream = server.run_tool_events(&shell(&command)).unwrap();
    stream.next().unwrap().unwrap();
    drop(stream);
    let length = || std::fs::metadata(&file).map_or(0, |file| file.len());
    llamatelemetry_testbed::until("the command's end", super::place::PATIENCE, || {
        let before = length();
        // Ten times the pause between two ticks.
        std::thread::sleep(std::time::Duration::from_millis(500));
        (length() == before).then_some(())
    });
}
