//! `llt run` and `llt chat` on the real llama-server with the tiny model of the proof, which says
//! the alphabet.

use crate::llt::{Llt, assert_ran, assert_text};

fn with_model() -> Llt {
    let llt = Llt::with_runtime();
    let proof = std::fs::read(llamatelemetry_testbed::proof_model()).unwrap();
    llt.file("proof.gguf", proof);
    // Proved once, so that the tests below show what a second run shows.
    assert_eq!(llt.run(&["runtime", "install"]).code, Some(0));
    llt
}

#[test]
fn the_answer_goes_to_stdout_and_the_figures_to_stderr() {
    let llt = with_model();
    let ran = llt.run(&["run", "./proof.gguf", "hi", "-n", "5", "--temperature", "0"]);
    assert_ran!(ran, @r"
    exit code: 0
    ----- stdout -----
    abcde
    ----- stderr -----
    loading proof.gguf into llama-server
    5 tokens, [rate] · first token after [time] (queue [time], prefill [time]) · prompt 4 tokens · [time] in all
    ");
    let ran = llt.run(&[
        "run",
        "./proof.gguf",
        "hi",
        "-n",
        "5",
        "--temperature",
        "0",
        "-q",
    ]);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("abcde\n", ""));
}

#[test]
fn the_prompt_can_come_from_stdin() {
    let llt = with_model();
    for args in [
        &["run", "./proof.gguf", "-", "-n", "3", "-q"][..],
        &["run", "./proof.gguf", "-n", "3", "-q"],
    ] {
        let ran = llt.run_with_input(args, "hi");
        assert_eq!(ran.code, Some(0), "{}", ran.text());
        assert_eq!(ran.stdout.trim_end().len(), 3);
    }
}

#[test]
fn the_document_is_the_result() {
    let llt = with_model();
    let args = [
        "run",
        "./proof.gguf",
        "hi",
        "-n",
        "5",
        "--temperature",
        "0",
        "--json",
    ];
    let ran = llt.run(&args);
    let json = ran.json();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["text"], "abcde");
    assert_eq!(json["finish_reason"], "length");
    assert_eq!(json["usage"]["completion_tokens"], 5);
    let timings = json["timings"].as_object().unwrap();
    let keys: Vec<&str> = timings.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "queue_ms",
            "ttft_ms",
            "prefill_ms",
            "decode_ms",
            "total_ms",
            "prompt_per_second",
            "decode_per_second",
            "source"
        ]
    );
    assert_eq!(json["text"], llt.run(&args).json()["text"]);
}

#[test]
fn spans_go_to_stderr() {
    let llt = with_model();
    let ran = llt.run(&["run", "./proof.gguf", "hi", "-n", "5", "--otel", "console"]);
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    for span in ["chat proof", "queue", "prefill", "decode"] {
        assert!(ran.stderr.contains(span), "{span}: {}", ran.text());
        assert!(!ran.stdout.contains(span), "{}", ran.text());
    }
}

#[test]
fn what_was_answered_lies_in_the_store() {
    let llt = with_model();
    for _ in 0..2 {
        let ran = llt.run(&["run", "./proof.gguf", "hi", "-n", "5", "--temperature", "0"]);
        assert_eq!(ran.code, Some(0), "{}", ran.text());
    }
    let listed = llt.run(&["trace", "list", "--json", "--operation", "chat"]);
    let traces: Vec<serde_json::Value> = listed
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(traces.len(), 2, "{}", listed.text());
    assert!(traces[0]["started_at"].as_str() > traces[1]["started_at"].as_str());
    for trace in &traces {
        assert_eq!(trace["name"], "chat proof");
        assert_eq!(trace["input_tokens"], 4);
        assert_eq!(trace["output_tokens"], 5);
        assert_eq!(trace["finish_reasons"][0], "length");
        assert!(trace["ttft_seconds"].as_f64() < trace["duration_seconds"].as_f64());
    }
    let newest = traces[0]["trace_id"].as_str().unwrap();
    let shown = llt.run(&["trace", "show", &newest[..12]]);
    for part in ["chat proof", "queue", "prefill", "decode", newest] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.text());
    }

    let exported = llt.run(&["trace", "export", "--signal", "all"]).stdout;
    let other = Llt::new();
    let ran = other.run_with_input(&["trace", "import", "-"], &exported);
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    let again = other.run(&["trace", "export", "--signal", "all"]).stdout;
    assert!(again == exported, "{exported}\n{again}");

    let metrics = llt.run(&["metrics", "--since", "1h", "--json"]).json();
    assert_eq!(metrics["metrics"][0]["requests"], 2);
    assert_eq!(metrics["metrics"][0]["output_tokens"], 10);
    let logs = llt.run(&["logs", "--json"]);
    let lines = logs.stdout.lines();
    let lines: Vec<serde_json::Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(!lines.is_empty(), "{}", logs.text());
    // On a busy machine a line may come too late to be sure of its request; those that are sure
    // are found by it.
    if let Some(id) = lines.iter().find_map(|line| line["trace_id"].as_str()) {
        let logs = llt.run(&["logs", "--trace", id]);
        assert!(logs.stdout.contains(&id[..8]), "{}", logs.text());
    }
    let checked = llt.run(&["trace", "check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.text());
}

#[test]
fn a_conversation_from_a_pipe() {
    let llt = with_model();
    let said = "hi\n\n/system be brief\n/system\n/nonsense\nhi again\n/clear\n/exit\nnot read\n";
    let args = ["chat", "./proof.gguf", "-n", "3", "--temperature", "0"];
    let ran = llt.run_with_input(&args, said);
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    assert_eq!(ran.stdout.lines().count(), 2, "{}", ran.text());
    for talk in ["be brief", "there is no /nonsense", "forgotten"] {
        assert!(ran.stderr.contains(talk), "{talk}: {}", ran.text());
    }
    let mut args = args.to_vec();
    args.push("--json");
    let ran = llt.run_with_input(&args, "hi\nhi\n");
    for line in ran.stdout.lines() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(json["usage"]["completion_tokens"], 3);
    }
    assert_eq!(ran.stdout.lines().count(), 2);
}

#[test]
fn an_image_for_a_model_that_cannot_see() {
    let llt = with_model();
    llt.file("dot.png", b"\x89PNG\r\n\x1a\n");
    assert_ran!(llt.run(&["run", "./proof.gguf", "hi", "--image", "dot.png"]), @r"
    exit code: 2
    ----- stderr -----
    loading proof.gguf into llama-server
    error: proof cannot see: it has no projector
      hint: a vision model comes with an mmproj file: `llt models search vision`
    ");
}

#[test]
fn models_that_cannot_be_loaded() {
    let llt = with_model();
    let proof = std::fs::read(llamatelemetry_testbed::proof_model()).unwrap();
    llt.file("cut.gguf", &proof[..proof.len() / 2]);
    llt.file("text.gguf", "this is a text\n");
    llt.file("unknown.gguf", other_architecture(&proof));
    assert_ran!(llt.run(&["run", "./cut.gguf", "hi"]));
    assert_ran!(llt.run(&["run", "./text.gguf", "hi"]));
    let ran = llt.run(&["run", "./unknown.gguf", "hi"]);
    assert_eq!(ran.code, Some(1));
    // The log's own lines differ from build to build.
    let (log, told): (Vec<&str>, Vec<&str>) = ran
        .stderr
        .lines()
        .partition(|line| line.starts_with("    "));
    assert!(!log.is_empty(), "{}", ran.text());
    assert_text!(told.join("\n"));
}

/// The same file with an architecture of the same length that nobody knows.
fn other_architecture(proof: &[u8]) -> Vec<u8> {
    let mut bytes = proof.to_vec();
    let key = b"general.architecture";
    let at = bytes
        .windows(key.len())
        .position(|window| window == key)
        .unwrap();
    // Key, value type (4 bytes), length (8 bytes), text.
    let value = at + key.len() + 12;
    assert_eq!(&bytes[value..value + 5], b"llama");
    bytes[value..value + 5].copy_from_slice(b"lhama");
    bytes
}

#[test]
fn a_port_that_is_taken() {
    let llt = with_model();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let ran = llt.run(&[
        "run",
        "./proof.gguf",
        "hi",
        "--server-port",
        &port.to_string(),
    ]);
    assert_eq!(ran.code, Some(1));
    assert_text!(ran.stderr.replace(&port.to_string(), "[port]"));
}

#[test]
fn a_flag_that_the_server_does_not_know() {
    let llt = with_model();
    assert_ran!(llt.run(&["run", "./proof.gguf", "hi", "--server-arg", "--flash-atn"]), @r"
    exit code: 1
    ----- stderr -----
    error: this llama-server knows no flag --flash-atn; the nearest is --flash-attn
      hint: `llama-server --help` lists the flags it knows
    ");
}
