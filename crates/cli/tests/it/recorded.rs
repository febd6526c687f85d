//! `llt trace list|show|export|import|purge`, `llt metrics` and `llt logs` on a store with known rows.

use crate::llt::{Llt, assert_ran, assert_text};

const CHAT: &str = "0af7651916cd43dd8448eb211c80319c";
const FAILED: &str = "0af765ffffffffffffffffffffffffff";
/// 2026-11-18 11:06:40, ms since 1970.
const BEGAN: u64 = 1_795_000_000_000;

/// A span; times in ms after [`BEGAN`].
struct Span<'a> {
    trace: &'a str,
    id: u64,
    parent: Option<u64>,
    name: &'a str,
    times: (u64, u64),
    attributes: &'a str,
    more: &'a str,
}

impl Span<'_> {
    fn json(&self) -> String {
        let parent = self.parent.map(|id| format!("{id:016x}"));
        format!(
            r#"{{"traceId":"{}","spanId":"{:016x}","parentSpanId":"{}","name":"{}","kind":3,
            "startTimeUnixNano":"{}000000","endTimeUnixNano":"{}000000","attributes":[{}]{}}}"#,
            self.trace,
            self.id,
            parent.unwrap_or_default(),
            self.name,
            BEGAN + self.times.0,
            BEGAN + self.times.1,
            self.attributes,
            self.more,
        )
    }
}

fn text(key: &str, value: &str) -> String {
    format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#)
}

fn whole(key: &str, value: u64) -> String {
    format!(r#"{{"key":"{key}","value":{{"intValue":"{value}"}}}}"#)
}

fn float(key: &str, value: &str) -> String {
    format!(r#"{{"key":"{key}","value":{{"doubleValue":{value}}}}}"#)
}

/// Spans of two traces, two log records and four points, as OTLP's JSON in lines.
fn telemetry() -> String {
    let request = [
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.request.model", "smollm2"),
    ];
    let answered = [
        request.join(","),
        whole("gen_ai.usage.input_tokens", 36),
        whole("gen_ai.usage.output_tokens", 48),
        float("gen_ai.response.time_to_first_chunk", "0.067"),
        float("llamacpp.energy", "2.5"),
        r#"{"key":"gen_ai.response.finish_reasons","value":{"arrayValue":{"values":[{"stringValue":"stop"}]}}}"#.to_owned(),
    ]
    .join(",");
    let failed = [request.join(","), text("error.type", "server_error")].join(",");
    let chat = |id, parent, name, times, attributes| Span {
        trace: CHAT,
        id,
        parent,
        name,
        times,
        attributes,
        more: "",
    };
    let slot = whole("llamacpp.slot.id", 0);
    let event = format!(
        r#","events":[{{"timeUnixNano":"{}000000","name":"llamacpp.first_token"}}]"#,
        BEGAN + 67
    );
    let spans = [
        Span {
            more: &event,
            ..chat(1, None, "chat smollm2", (0, 537), &answered)
        },
        chat(2, Some(1), "queue", (0, 2), &slot),
        chat(3, Some(1), "prefill", (2, 67), ""),
        chat(4, Some(1), "decode", (67, 537), ""),
        Span {
            trace: FAILED,
            id: 5,
            parent: None,
            name: "chat smollm2",
            times: (60_000, 62_500),
            attributes: &failed,
            more: r#","status":{"code":2,"message":"out of memory"}"#,
        },
    ];
    let spans: Vec<String> = spans.iter().map(Span::json).collect();
    let log = |ms: u64, severity: u32, said: &str, more: &str| {
        format!(
            r#"{{"timeUnixNano":"{}000000","severityNumber":{severity},"body":{{"stringValue":"{said}"}}{more}}}"#,
            BEGAN + ms
        )
    };
    let in_trace = format!(r#","traceId":"{CHAT}","spanId":"{:016x}""#, 1);
    let logs = [
        log(1, 9, "slot 0 works", &in_trace),
        log(62_500, 17, "CUDA error: out of memory", ""),
    ];
    let resource =
        r#""resource":{"attributes":[{"key":"service.name","value":{"stringValue":"tests"}}]}"#;
    // Figures of which a careless reader loses the last digit.
    let points = [
        "13651.877133105801",
        "16129.032258064515",
        "0.000045820000000000004",
        "5e-324",
    ];
    let points: Vec<String> = (0..)
        .zip(points)
        .map(|(ms, value)| {
            let time = BEGAN + ms;
            format!(r#"{{"timeUnixNano":"{time}000000","asDouble":{value}}}"#)
        })
        .collect();
    let metric = format!(
        r#"{{"name":"hw.power","unit":"W","gauge":{{"dataPoints":[{}]}}}}"#,
        points.join(",")
    );
    let lines = [
        format!(
            r#"{{"resourceSpans":[{{{resource},"scopeSpans":[{{"scope":{{"name":"x"}},"spans":[{}]}}]}}]}}"#,
            spans.join(",")
        ),
        format!(
            r#"{{"resourceMetrics":[{{{resource},"scopeMetrics":[{{"scope":{{"name":"x"}},"metrics":[{metric}]}}]}}]}}"#
        ),
        format!(
            r#"{{"resourceLogs":[{{{resource},"scopeLogs":[{{"scope":{{"name":"x"}},"logRecords":[{}]}}]}}]}}"#,
            logs.join(",")
        ),
    ];
    lines.map(|line| line.replace('\n', " ")).join("\n")
}

/// A home with the telemetry above in its store.
fn stored() -> Llt {
    let llt = Llt::new();
    let ran = llt.run_with_input(&["trace", "import", "-"], &telemetry());
    assert_eq!(
        ran.stderr,
        "imported 5 spans, 4 metric points, 2 log records\n",
        "{}",
        ran.text()
    );
    assert_eq!(ran.code, Some(0));
    llt
}

#[test]
fn traces_are_listed_newest_first() {
    let llt = stored();
    assert_ran!(llt.run(&["trace", "list"]));
    let ran = llt.run(&["trace", "list", "--json"]);
    let lines: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["trace_id"], FAILED);
    assert_eq!(lines[0]["failed"], true);
    assert_eq!(lines[0]["input_tokens"], serde_json::Value::Null);
    assert_eq!(lines[1]["started_at"], "2026-11-18T11:06:40.000000000Z");
    assert_eq!(lines[1]["joules"], 2.5);
    assert_eq!(lines[1]["spans"], 4);
}

#[test]
fn a_query_finds_what_meets_all_of_it() {
    let llt = stored();
    let found = |query: &[&str]| {
        let args = [&["trace", "list", "--json"], query].concat();
        let ran = llt.run(&args);
        assert_eq!(ran.code, Some(0), "{}", ran.text());
        let ids = ran.stdout.lines().map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["trace_id"].as_str().unwrap().to_owned()
        });
        ids.collect::<Vec<_>>()
    };
    assert_eq!(found(&["--limit", "1"]), [FAILED]);
    assert_eq!(found(&["--failed"]), [FAILED]);
    assert_eq!(found(&["--longer-than", "2s"]), [FAILED]);
    assert_eq!(found(&["--text", "OUT of memory"]), [FAILED]);
    assert_eq!(
        found(&["--attribute", "gen_ai.usage.input_tokens=36"]),
        [CHAT]
    );
    assert_eq!(found(&["--attribute", "llamacpp.slot.id=0"]), [CHAT]);
    assert_eq!(
        found(&["--model", "smollm2", "--operation", "chat"]),
        [FAILED, CHAT]
    );
    assert_eq!(found(&["--model", "smollm2", "--failed"]), [FAILED]);
    assert_eq!(found(&["--model", "other"]), [""; 0]);
    assert_eq!(found(&["--since", "1s"]), [""; 0]);
    assert_ran!(llt.run(&["trace", "list", "--model", "other"]));
    let ran = llt.run(&["trace", "list", "--since", "soon"]);
    assert_eq!(ran.code, Some(2), "{}", ran.text());
}

#[test]
fn a_trace_is_shown_as_a_tree() {
    let llt = stored();
    assert_ran!(llt.run(&["trace", "show", "0af76519"]));
    assert_ran!(llt.run(&["trace", "show", "last"]));
    let ran = llt.run(&["trace", "show", CHAT, "-v"]);
    assert_text!(ran.stdout);
    let json = llt.run(&["trace", "show", "last", "--json"]).json();
    let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], FAILED);
}

#[test]
fn ids_that_name_no_one_trace() {
    let llt = stored();
    assert_ran!(llt.run(&["trace", "show", "0af765"]));
    assert_ran!(llt.run(&["trace", "show", "beef"]));
    assert_ran!(llt.run(&["trace", "show", "newest"]));
}

#[test]
fn the_store_answers_sql() {
    let llt = stored();
    let sql = "SELECT model, count(*) AS requests, sum(output_tokens) AS tokens FROM spans
               WHERE operation = 'chat' GROUP BY model";
    assert_ran!(llt.run(&["trace", "sql", sql]));
    let ran = llt.run_with_input(&["trace", "sql", "--csv", "--timeout", "1m"], sql);
    assert_eq!(
        ran.stdout,
        "model,requests,tokens\nsmollm2,2,48\n",
        "{}",
        ran.text()
    );
    let sql = "SELECT trace_id, cached_tokens, attributes FROM spans WHERE status = 'error'";
    let row = llt.run(&["trace", "sql", "--json", sql]).json();
    assert_eq!(row["trace_id"], FAILED);
    assert_eq!(row["cached_tokens"], serde_json::Value::Null);
    assert_eq!(row["attributes"]["error.type"], "server_error");
    for wrong in [
        "SELECT *\n  FROM span",
        "DROP TABLE spans",
        "ATTACH 'x' AS y",
    ] {
        assert_ran!(llt.run(&["trace", "sql", wrong]));
    }
    let views = llt.run(&["trace", "sql", "--views"]).stdout;
    assert!(views.contains("spans: ") && views.contains("duration_ns"));
}

#[test]
fn a_question_in_sql_can_be_stopped() {
    let llt = stored();
    let endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c";
    let ran = llt.run(&["trace", "sql", "--timeout", "100ms", "--csv", "-q", endless]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("no answer within"), "{}", ran.stderr);
    // A reader that is gone has seen enough.
    let mut child = llt
        .command(&["trace", "sql", "--csv", endless])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut begun = [0; 4];
    let mut out = child.stdout.take().unwrap();
    std::io::Read::read_exact(&mut out, &mut begun).unwrap();
    drop(out);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    // Ctrl-C ends it as shells expect.
    let mut child = llt
        .command(&["trace", "sql", "--csv", endless])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    std::io::Read::read_exact(&mut out, &mut begun).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    std::io::copy(&mut out, &mut std::io::sink()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn what_is_exported_and_imported_exports_alike() {
    let llt = stored();
    let all = ["trace", "export", "--signal", "all"];
    let first = llt.run(&all);
    assert_eq!((first.code, first.stdout.lines().count()), (Some(0), 3));
    let other = Llt::new();
    let ran = other.run_with_input(&["trace", "import", "-", "--json"], &first.stdout);
    assert_eq!(ran.json()["imported"]["spans"], 5);
    assert!(other.run(&all).stdout == first.stdout);

    // A query takes whole traces, and of logs those of the traces.
    let chosen = llt.run(&[
        "trace",
        "export",
        "--signal",
        "all",
        "--text",
        "first_token",
    ]);
    assert_eq!(chosen.stdout.matches("spanId").count(), 4 + 1);
    assert!(!chosen.stdout.contains(FAILED));
    assert_ran!(llt.run(&["trace", "export", "--output", "traces.jsonl"]));
    let written = std::fs::read_to_string(llt.root().join("traces.jsonl")).unwrap();
    assert_eq!(written, llt.run(&["trace", "export"]).stdout);
    assert_ran!(llt.run(&["trace", "export", "--output", "none/traces.jsonl"]));
}

#[test]
fn spans_are_exported_as_parquet() {
    let llt = stored();
    let export = ["trace", "export", "--format", "parquet"];
    let run = |more: &[&str]| llt.run(&[&export, more].concat());
    let ran = run(&["--output", "spans.parquet"]);
    assert_eq!(
        ran.text(),
        "exit code: 0\n----- stderr -----\n5 rows written: spans.parquet\n"
    );
    let bytes = std::fs::read(llt.root().join("spans.parquet")).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    // Whole traces, and of logs those of the traces.
    let ran = run(&[
        "--text",
        "first_token",
        "--signal",
        "logs",
        "-o",
        "logs.parquet",
    ]);
    assert_eq!(ran.stderr, "1 row written: logs.parquet\n");
    for wrong in [&[][..], &["--signal", "all", "-o", "x"], &["-o", "-"]] {
        assert_eq!(run(wrong).code, Some(2));
    }
    assert_eq!(run(&["-o", "none/spans.parquet"]).code, Some(1));
}

#[test]
fn a_run_record_tells_all_about_a_trace_and_is_imported_again() {
    let llt = stored().with("HF_TOKEN", "a secret of the tests");
    let export = ["trace", "export", "--format", "run-record"];
    let ran = llt.run(&[&export[..], &["0af76519"]].concat());
    assert!(!ran.stdout.contains("a secret of the tests"));
    let record = ran.json();
    assert_eq!(record["schema_version"], 1);
    assert_eq!(record["run"]["trace_id"], CHAT);
    assert_eq!(record["run"]["models"][0]["name"], "smollm2");
    assert_eq!(
        record["run"]["models"][0]["sha256"],
        serde_json::Value::Null
    );
    assert!(record["run"]["machine"].is_object());
    let settings = record["run"]["settings"].as_array().unwrap();
    assert!(settings.iter().any(|one| one["key"] == "telemetry.store"));
    let ran = llt.run(&[&export[..], &["last", "-o", "run.json"]].concat());
    assert_eq!(ran.stderr, "run record written: run.json\n");
    let other = Llt::new();
    let ran = other.run_with_input(&["trace", "import", "-", "--json"], &record.to_string());
    assert_eq!(ran.json()["imported"]["spans"], 4);
    assert_eq!(ran.json()["imported"]["logs"], 1);
    let of_trace = ["trace", "export", "--attribute", "llamacpp.slot.id=0"];
    assert!(other.run(&of_trace).stdout == llt.run(&of_trace).stdout);
    assert_eq!(llt.run(&export).code, Some(2));
    assert_eq!(llt.run(&["trace", "export", "last"]).code, Some(2));
}

#[test]
fn the_store_is_checked_without_a_file() {
    let llt = stored();
    let ran = llt.run(&["trace", "check", "--since", "36500d", "--json"]);
    let last = ran.stdout.lines().last().unwrap();
    let last: serde_json::Value = serde_json::from_str(last).unwrap();
    assert_eq!(last["checked"]["spans"], 5);
    assert_eq!(last["checked"]["points"], 4);
    assert_eq!(last["checked"]["logs"], 2);
}

#[test]
fn what_is_purged_is_in_no_file() {
    let llt = stored();
    let store = llt.home.home().store();
    let holding = |text: &str| {
        let files = llamatelemetry_store::files_holding(&store, text.as_bytes());
        files.unwrap().len()
    };
    assert!(holding("slot 0 works") > 0);
    // Nobody is there to be asked.
    let ran = llt.run(&["trace", "purge", CHAT]);
    assert_eq!(ran.code, Some(2), "{}", ran.text());
    let ran = llt.run(&["trace", "purge"]);
    assert_eq!(ran.code, Some(2), "{}", ran.text());
    let dry = ["trace", "purge", "0af76519", "--dry-run", "--json"];
    let json = llt.run(&dry).json();
    assert_eq!((&json["spans"], &json["logs"]), (&4.into(), &1.into()));
    assert!(holding("slot 0 works") > 0);
    let ran = llt.run(&["trace", "purge", "0af76519", "--yes"]);
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    let said = "removed 4 spans of 1 trace, 0 metric points, 1 log record; ";
    assert!(ran.stderr.starts_with(said), "{}", ran.stderr);
    assert_eq!(holding("slot 0 works"), 0);
    assert!(holding("out of memory") > 0);
    let ran = llt.run(&["trace", "purge", "--older-than", "0s", "--yes"]);
    let said = "removed 1 span of 1 trace, 4 metric points, 1 log record; ";
    assert!(ran.stderr.starts_with(said), "{}", ran.stderr);
    assert_eq!(holding("out of memory"), 0);
    let ran = llt.run(&["trace", "purge", "--all", "--yes"]);
    assert_eq!(ran.stderr, "nothing that is stored meets all of that\n");
}

#[test]
fn metrics_are_sums_over_requests() {
    let llt = stored();
    assert_text!(llt.run(&["metrics"]).stdout);
    let json = llt.run(&["metrics", "--json"]).json();
    let chat = &json["metrics"][0];
    assert_eq!(chat["requests"], 2);
    assert_eq!(chat["errors"], 1);
    assert_eq!(chat["joules"], 2.5);
    assert_eq!(chat["cached_tokens"], serde_json::Value::Null);
    assert_ran!(llt.run(&["metrics", "--since", "1m"]));
}

#[test]
fn logs_are_lines() {
    let llt = stored();
    assert_ran!(llt.run(&["logs"]));
    for query in [
        &["--level", "error"][..],
        &["--text", "cuda"],
        &["--limit", "1"],
    ] {
        let ran = llt.run(&[&["logs"], query].concat());
        assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.text());
        assert!(ran.stdout.contains("CUDA error"), "{}", ran.text());
    }
    let ran = llt.run(&["logs", "--trace", "0af76519", "--json"]);
    let line: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(line["body"], "slot 0 works");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["trace_id"], CHAT);
    assert_eq!(line["service"], "tests");
}

#[test]
fn what_comes_later_is_followed() {
    use std::io::{BufRead as _, BufReader};
    let llt = stored();
    let args = ["logs", "--follow", "--json"];
    let mut child = llt
        .command(&args)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for said in ["slot 0 works", "CUDA error"] {
        assert!(lines.next().unwrap().unwrap().contains(said));
    }
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let late = format!(
        r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"timeUnixNano":"{}","body":{{"stringValue":"late"}}}}]}}]}}]}}"#,
        now.as_nanos()
    );
    assert_eq!(
        llt.run_with_input(&["trace", "import", "-", "-q"], &late)
            .code,
        Some(0)
    );
    assert!(lines.next().unwrap().unwrap().contains("late"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn traces_are_followed() {
    use std::io::{BufRead as _, BufReader};
    let llt = stored();
    let args = ["trace", "list", "--follow", "--json"];
    let mut child = llt
        .command(&args)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for id in [CHAT, FAILED] {
        assert!(lines.next().unwrap().unwrap().contains(id));
    }
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let late = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{:032x}","spanId":"{:016x}","name":"late","startTimeUnixNano":"{now}","endTimeUnixNano":"{now}"}}]}}]}}]}}"#,
        7, 7
    );
    let ran = llt.run_with_input(&["trace", "import", "-", "-q"], &late);
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    assert!(lines.next().unwrap().unwrap().contains("\"late\""));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    child.wait().unwrap();
}

#[test]
fn an_empty_store_says_so() {
    let llt = Llt::new();
    for args in [&["trace", "list"][..], &["metrics"], &["logs"]] {
        let ran = llt.run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
        assert!(ran.stderr.contains("are stored yet"), "{}", ran.text());
    }
    assert_ran!(llt.run(&["trace", "show", "last"]));
    let off = Llt::new().with("LLAMATELEMETRY_STORE", "false");
    assert_ran!(off.run(&["trace", "list"]));
}

#[test]
fn damaged_files_are_named_and_the_rest_is_read() {
    let llt = stored();
    let store = llt.home.home().store();
    std::fs::write(store.join("blocks/broken.blocks"), b"no blocks").unwrap();
    let ran = llt.run(&["trace", "list"]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 3));
    assert_text!(ran.stderr);
    for args in [
        &["trace", "show", "last"][..],
        &["trace", "export"],
        &["metrics"],
        &["logs"],
        &["trace", "check", "--since", "36500d"],
    ] {
        let ran = llt.run(args);
        assert!(ran.stderr.contains("broken.blocks"), "{}", ran.text());
        assert!(!ran.stdout.is_empty() || args.contains(&"check"));
    }
}
