//! What is answered, and what is refused.

use crate::sample::{BEGAN, SECOND, ask, rows, snapshot, spans, stored, traces};
use llamatelemetry_store::{Signal, Writer};
use llamatelemetry_tables::{Pushdown, Sql, Stop, TablesError};
use std::time::{Duration, Instant};

#[test]
fn spans_have_what_they_state_and_null() {
    let (_folder, snapshot) = stored();
    let sql =
        "SELECT span_id, parent_span_id, name, kind, status, duration_ns, model, input_tokens,
               cached_tokens, ttft_ns, energy_joules, finish_reasons, service_name, scope_name,
               event_count, link_count FROM spans ORDER BY span_id";
    assert_eq!(
        rows(&snapshot, sql),
        [
            "0101010101010101|NULL|chat smollm2|client|unset|1000000000|smollm2|36|NULL|67000000|2.5|[\"stop\"]|tests|tests|1|0",
            "0202020202020202|0101010101010101|queue|internal|unset|NULL|NULL|NULL|NULL|NULL|NULL|NULL|tests|tests|0|0",
            "0303030303030303|NULL|chat smollm2|NULL|error|2000000000|smollm2|NULL|NULL|NULL|NULL|NULL|tests|tests|0|1",
        ]
    );
}

#[test]
fn parts_of_spans_have_views_of_their_own() {
    let (_folder, snapshot) = stored();
    let sql = "SELECT direction, position, role, text, finish_reason FROM messages";
    assert_eq!(
        rows(&snapshot, sql),
        [
            "input|0|user|Explain CUDA.|NULL",
            "output|0|assistant|It is\na platform.|stop",
        ]
    );
    let sql = "SELECT name, time_unix_nano - start_time_unix_nano, attributes FROM span_events";
    assert_eq!(
        rows(&snapshot, sql),
        ["llamacpp.first_token|67000000|{\"n\":1}"]
    );
    let sql = "SELECT s.name, l.attributes ->> 'llamacpp.link' FROM span_links l
               JOIN spans s ON s.trace_id = l.linked_trace_id AND s.span_id = l.linked_span_id";
    assert_eq!(rows(&snapshot, sql), ["chat smollm2|resent"]);
    let sql =
        "SELECT span_id, type FROM span_attributes WHERE key = 'server.port' AND value = 8080";
    assert_eq!(rows(&snapshot, sql), ["0101010101010101|int"]);
}

#[test]
fn logs_and_metrics_are_asked_alike() {
    let (_folder, snapshot) = stored();
    let sql = "SELECT time_unix_nano, severity_number, body, trace_id IS NULL FROM logs
               ORDER BY time_unix_nano";
    assert_eq!(
        rows(&snapshot, sql),
        [
            format!("{BEGAN}|NULL|seen|1"),
            format!("{}|17|CUDA error|0", BEGAN + 62 * SECOND),
        ]
    );
    let sql = "SELECT name, kind, temporality, value, count, sum, buckets FROM metric_points
               ORDER BY name";
    assert_eq!(
        rows(&snapshot, sql),
        [
            "gen_ai.client.operation.duration|histogram|cumulative|NULL|3|1.5|{\"bounds\":[0.25],\"counts\":[1,2]}",
            "hw.power|gauge|NULL|71.5|NULL|NULL|NULL",
        ]
    );
    let sql = "SELECT sum(requests), sum(requests * failed), sum(output_tokens), sum(cached_tokens)
               FROM model_requests";
    assert_eq!(rows(&snapshot, sql), ["2|1|48|NULL"]);
    let sql = "SELECT r.service_name, r.spans, r.metric_points, r.logs, count(*) FROM resources r
               JOIN spans USING (resource_id)";
    assert_eq!(rows(&snapshot, sql), ["tests|3|2|2|3"]);
}

#[test]
fn only_questions_are_answered() {
    let (folder, snapshot) = stored();
    let refused = |sql: &str| match ask(&snapshot, Pushdown::On, sql) {
        Err(error) => error.to_string(),
        Ok(answer) => panic!("{sql}: {answer:?}"),
    };
    let file = folder.path().join("x.db").display().to_string();
    for (sql, action) in [
        (format!("ATTACH '{file}' AS x"), "ATTACH is refused"),
        (format!("VACUUM INTO '{file}'"), "no question"),
        (
            "PRAGMA query_only = OFF".to_owned(),
            "PRAGMA query_only is refused",
        ),
        ("PRAGMA hard_heap_limit = 0".to_owned(), "is refused"),
        ("CREATE TABLE x(y)".to_owned(), "is refused"),
        ("CREATE TEMP VIEW x AS SELECT 1".to_owned(), "is refused"),
        ("DROP TABLE spans".to_owned(), "is refused"),
        ("BEGIN".to_owned(), "is refused"),
        (
            "SELECT load_extension('x')".to_owned(),
            "load_extension() is refused",
        ),
        ("DELETE FROM spans".to_owned(), "cannot be answered"),
        ("SELECT 1; DROP TABLE spans".to_owned(), "is refused"),
        ("SELECT 1; SELECT 2".to_owned(), "one question at a time"),
        (" -- nothing".to_owned(), "no question"),
        ("SELECT ?".to_owned(), "1 parameters"),
    ] {
        let said = refused(&sql);
        assert!(said.contains(action), "{sql}: {said}");
    }
    assert!(!folder.path().join("x.db").exists());
}

#[test]
fn mistakes_have_their_place() {
    let (_folder, snapshot) = stored();
    let asked = ask(&snapshot, Pushdown::On, "SELECT name,\n  modell FROM spans");
    match asked {
        Err(TablesError::Sql {
            line,
            column,
            near,
            message,
        }) => {
            assert_eq!((line, column), (2, 3));
            assert_eq!(near, "modell FROM spans");
            assert_eq!(message, "no such column: modell");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_question_ends_when_its_time_is_up_or_it_is_told_to() {
    const ENDLESS: &str =
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
    let (_folder, snapshot) = stored();
    let ask = |stop: Stop| {
        let sql = Sql::open(snapshot.clone(), stop, Pushdown::On).unwrap();
        sql.query(ENDLESS, &mut crate::sample::Answer::default())
    };
    let limit = Duration::from_millis(50);
    let began = Instant::now();
    let outcome = ask(Stop::new().after(limit));
    assert!(
        matches!(outcome, Err(TablesError::TimedOut { .. })),
        "{outcome:?}"
    );
    assert!(began.elapsed() >= limit);
    let stop = Stop::new();
    let outcome = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask(stop.clone()));
        stop.stop();
        asking.join().unwrap()
    });
    assert!(matches!(outcome, Err(TablesError::Stopped)), "{outcome:?}");
}

#[test]
fn memory_has_a_limit() {
    let (_folder, snapshot) = stored();
    let sql = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 100)
               SELECT sum(length(hex(zeroblob(1000000 + x)))), count(*) FROM c";
    assert_eq!(rows(&snapshot, sql), ["200010100|100"]);
    let sql = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 100)
               SELECT group_concat(hex(zeroblob(1000000 + x))) FROM c";
    let asked = ask(&snapshot, Pushdown::On, sql);
    assert!(
        asked.is_err(),
        "{:?}",
        asked.map(|answer| answer.rows.len())
    );
}

#[test]
fn damage_is_named_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..2 {
        let writer = Writer::open(folder.path()).unwrap();
        let mut spans = spans();
        spans[0].name = format!("chat {number}");
        writer
            .append(Signal::Traces, traces("tests", spans))
            .unwrap();
        writer.seal().unwrap();
    }
    let mut files: Vec<_> = walk(folder.path());
    files.sort();
    let broken = files.first().unwrap();
    let mut bytes = std::fs::read(broken).unwrap();
    for byte in bytes.iter_mut().take(64) {
        *byte ^= 0x55;
    }
    std::fs::write(broken, bytes).unwrap();
    let sql = Sql::open(snapshot(folder.path()), Stop::new(), Pushdown::On).unwrap();
    let mut answer = crate::sample::Answer::default();
    sql.query("SELECT * FROM spans", &mut answer).unwrap();
    assert_eq!(answer.rows.len(), 3);
    assert_eq!(sql.damaged().len(), 1, "{:?}", sql.damaged());
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else if path.extension().is_some_and(|end| end == "blocks") {
            found.push(path);
        }
    }
    found
}
