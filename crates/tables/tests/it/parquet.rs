//! Parquet files, read by those they are for.

use crate::sample::{BEGAN, SECOND, attribute, snapshot, spans, stored, text, traces};
use llamatelemetry_store::{Condition, Query, Signal, Writer};
use llamatelemetry_tables::{Stop, TablesError, VIEWS, view, write_parquet};
use llamatelemetry_testbed as testbed;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::path::Path;
use std::process::Command;

/// Prints what a reader finds in a file of [`many`] spans, one line a reader.
const READERS: &str = r#"
import sys, json, duckdb, pandas
path, java = sys.argv[1], sys.argv[2] == "java"
def show(name, count, tokens, joules, errors, row):
    print(json.dumps([name, int(count), int(tokens), round(float(joules), 6), int(errors), row]))
ask = """SELECT count(*), sum(input_tokens), sum(energy_joules),
                count(CASE WHEN status = 'error' THEN 1 END) FROM {}"""
pick = """SELECT name, start_time_unix_nano, duration_ns, cached_tokens, attributes,
                 CAST(start_time AS VARCHAR) LIKE '2026-11-18 11:06:4%' FROM {}
          WHERE span_id = '000000000000002a'"""
duck = duckdb.connect()
duck.execute("SET TimeZone = 'UTC'")
table = f"read_parquet('{path}')"
show("duckdb", *duck.execute(ask.format(table)).fetchone(), list(duck.execute(pick.format(table)).fetchone()))
frame = pandas.read_parquet(path, engine="pyarrow")
one = frame[frame.span_id == "000000000000002a"].iloc[0]
show("pandas", len(frame), frame.input_tokens.sum(), frame.energy_joules.sum(), (frame.status == "error").sum(),
     [one["name"], int(one.start_time_unix_nano), int(one.duration_ns), None if pandas.isna(one.cached_tokens) else 0,
      one.attributes, str(one.start_time).startswith("2026-11-18 11:06:4")])
if java:
    from pyspark.sql import SparkSession
    spark = (SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
             .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
             .config("spark.sql.session.timeZone", "UTC").getOrCreate())
    spark.read.parquet(path).createOrReplaceTempView("spans")
    spark.sql("SET spark.sql.ansi.enabled=false")
    show("spark", *spark.sql(ask.format("spans")).first(), list(spark.sql(pick.format("spans").replace("VARCHAR", "STRING")).first()))
    spark.stop()
"#;

/// Spans enough for several groups of rows.
fn many(count: u64) -> Vec<Span> {
    let span = |number: u64| {
        let mut attributes = vec![
            text(
                "gen_ai.request.model",
                ["a", "b"][usize::from(number.is_multiple_of(2))],
            ),
            attribute(
                "gen_ai.usage.input_tokens",
                Value::IntValue(number.cast_signed()),
            ),
        ];
        if number.is_multiple_of(3) {
            attributes.push(attribute("llamacpp.energy", Value::DoubleValue(0.25)));
        }
        let mut span = spans().swap_remove(if number.is_multiple_of(5) { 2 } else { 1 });
        span.name = format!("span {number}");
        span.span_id = number.to_be_bytes().to_vec();
        span.start_time_unix_nano = BEGAN + number * 1_000;
        span.end_time_unix_nano = span.start_time_unix_nano + 77;
        span.attributes = attributes;
        span.links.clear();
        span
    };
    (0..count).map(span).collect()
}

#[test]
fn other_programs_read_what_is_written() {
    const COUNT: u64 = 33_000;
    let Some(python) = testbed::tables() else {
        return testbed::skip("no Python with DuckDB, pandas and Spark");
    };
    let java = Command::new("java").arg("-version").output();
    let java = java.is_ok_and(|asked| asked.status.success());
    if !java {
        testbed::skip("no Java for Spark; on Debian it is the package default-jre-headless");
    }
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(&folder.path().join("store")).unwrap();
    for spans in many(COUNT).chunks(5_000) {
        writer
            .append(Signal::Traces, traces("tests", spans.to_vec()))
            .unwrap();
    }
    drop(writer);
    let snapshot = snapshot(&folder.path().join("store"));
    let path = folder.path().join("spans.parquet");
    let written = write_parquet(
        view("spans").unwrap(),
        snapshot,
        Query::default(),
        &path,
        Stop::new(),
    );
    assert_eq!(written.unwrap().rows, COUNT);
    let read = Command::new(python)
        .args(["-c", READERS])
        .arg(&path)
        .arg(if java { "java" } else { "no java" })
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&read.stdout).into_owned();
    assert!(
        read.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&read.stderr)
    );
    let start = BEGAN + 42_000;
    let attributes = r#"{\"gen_ai.request.model\":\"b\",\"gen_ai.usage.input_tokens\":42,\"llamacpp.energy\":0.25}"#;
    let known = format!(
        r#"{}, {:?}, {}, ["span 42", {start}, 77, null, "{attributes}", true]]"#,
        COUNT * (COUNT - 1) / 2,
        COUNT.div_ceil(3) as f64 * 0.25,
        COUNT.div_ceil(5),
    );
    let mut readers = vec!["duckdb", "pandas"];
    readers.extend(java.then_some("spark"));
    let expected: Vec<String> = readers
        .iter()
        .map(|reader| format!(r#"["{reader}", {COUNT}, {known}"#))
        .collect();
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn every_view_can_be_written() {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    let (folder, snapshot) = stored();
    for view in VIEWS {
        let path = folder.path().join(view.name);
        let written = write_parquet(view, snapshot.clone(), Query::default(), &path, Stop::new());
        let rows = written.unwrap().rows;
        let file = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
        let metadata = file.metadata().file_metadata();
        assert_eq!(metadata.num_rows(), rows.cast_signed(), "{}", view.name);
        assert!(rows > 0);
        for column in view.columns {
            let found = metadata.schema_descr().columns().iter();
            assert!(
                found.clone().any(|one| one.name() == column.name),
                "{}",
                column.name
            );
        }
        assert_eq!(file.get_row_iter(None).unwrap().count() as u64, rows);
    }
}

#[test]
fn a_query_chooses_rows() {
    let (folder, snapshot) = stored();
    let query = Query {
        time: Some(BEGAN + SECOND..u64::MAX),
        conditions: vec![Condition::Failed(true)],
        limit: None,
    };
    let path = folder.path().join("failed.parquet");
    let written = write_parquet(view("spans").unwrap(), snapshot, query, &path, Stop::new());
    assert_eq!(written.unwrap().rows, 1);
}

#[test]
fn a_file_is_there_whole_or_as_before() {
    let (folder, snapshot) = stored();
    let spans = view("spans").unwrap();
    let place = folder.path().join("files");
    std::fs::create_dir(&place).unwrap();
    let path = place.join("spans.parquet");
    std::fs::write(&path, "before").unwrap();
    let stop = Stop::new();
    stop.stop();
    let stopped = write_parquet(spans, snapshot.clone(), Query::default(), &path, stop);
    assert!(matches!(stopped, Err(TablesError::Stopped)), "{stopped:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
    assert_eq!(names(&place), ["spans.parquet"]);
    let nowhere = place.join("none/spans.parquet");
    let failed = write_parquet(spans, snapshot, Query::default(), &nowhere, Stop::new());
    assert!(
        matches!(failed, Err(TablesError::Write { .. })),
        "{failed:?}"
    );
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
