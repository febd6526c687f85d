//! Reading less never answers otherwise: each question is asked twice, once with comparisons handed
//! to the store and once over everything.

use crate::sample::{BEGAN, SECOND, ask, attribute, list, snapshot, text, traces};
use llamatelemetry_store::{Signal, Snapshot, Writer};
use llamatelemetry_tables::{Pushdown, VIEWS, View};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use proptest::prelude::*;
use std::sync::LazyLock;

/// Spans in several blocks and a journal, their times overlapping, some of them odd.
static STORED: LazyLock<(tempfile::TempDir, Snapshot)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    for block in 0..6 {
        let spans = (0..60).map(|number| span(block, number)).collect();
        let service = one_of(&["one", "two"], block);
        writer
            .append(Signal::Traces, traces(service, spans))
            .unwrap();
        if block < 5 {
            writer.seal().unwrap();
        }
    }
    drop(writer);
    let snapshot = snapshot(folder.path());
    (folder, snapshot)
});

fn span(block: u64, number: u64) -> Span {
    let mixed = block
        .wrapping_mul(0x9e37)
        .wrapping_add(number.wrapping_mul(0x79b9))
        >> 3;
    let start = match mixed % 23 {
        0 => 0,
        1 => u64::MAX - number,
        _ => BEGAN + (block * 40 + number % 50) * SECOND,
    };
    let end = match mixed % 11 {
        0 => 0,
        _ => start.wrapping_add(mixed % 5),
    };
    let mut attributes = vec![match mixed % 7 {
        0 => attribute("gen_ai.request.model", Value::IntValue(48)),
        1 => text("gen_ai.request.model", ""),
        2 => text("gen_ai.request.model", "48"),
        _ => text("gen_ai.request.model", one_of(&["a", "b", "B"], mixed)),
    }];
    if mixed.is_multiple_of(3) {
        // Twice by one key: the first counts.
        attributes.push(text("gen_ai.request.model", "a"));
    }
    attributes.push(match mixed % 9 {
        0 => attribute("k", Value::BoolValue(true)),
        1 => attribute("k", Value::IntValue(1)),
        2 => attribute("k", Value::IntValue(48)),
        3 => attribute("k", Value::DoubleValue(48.0)),
        4 => attribute("k", Value::DoubleValue(-0.0)),
        5 => attribute("k", list(&["a"])),
        6 => attribute("k", Value::BytesValue(b"a".to_vec())),
        7 => text("k", "[\"a\"]"),
        _ => text("k", "48"),
    });
    if mixed.is_multiple_of(2) {
        let tokens = match mixed % 5 {
            0 => Value::DoubleValue(4.0),
            _ => Value::IntValue((mixed % 6).cast_signed()),
        };
        attributes.push(attribute("gen_ai.usage.input_tokens", tokens));
    }
    Span {
        trace_id: vec![u8::try_from(number % 7).unwrap(); 16],
        span_id: (block * 1_000 + number).to_be_bytes().to_vec(),
        name: one_of(&["chat", "queue", "48"], mixed).to_owned(),
        start_time_unix_nano: start,
        end_time_unix_nano: end,
        attributes,
        status: (!mixed.is_multiple_of(4)).then(|| Status {
            code: i32::try_from(mixed % 5).unwrap(),
            message: String::new(),
        }),
        ..Span::default()
    }
}

fn one_of(all: &[&'static str], number: u64) -> &'static str {
    all[usize::try_from(number).unwrap() % all.len()]
}

/// Something to compare with; much of it is in the store somewhere.
fn literal() -> impl Strategy<Value = String> {
    let times = (0_u64..320).prop_map(|at| (BEGAN + at * SECOND).to_string());
    let ids = (0_u8..9).prop_map(|id| format!("'{}'", format!("{id:02x}").repeat(16)));
    let spans = (0_u64..6_000).prop_map(|id| format!("'{id:016x}'"));
    let odd = prop::sample::select(vec![
        "NULL",
        "0",
        "1",
        "2",
        "4",
        "48",
        "-1",
        "48.0",
        "4.5",
        "-0.0",
        "1e300",
        "''",
        "'a'",
        "'b'",
        "'A'",
        "'48'",
        "'4'",
        "'48.0'",
        "'04'",
        "' 4'",
        "'4e0'",
        "'+48'",
        "'error'",
        "'ok'",
        "'unset'",
        "'chat'",
        "'one'",
        "'[\"a\"]'",
        "x'61'",
        "'k'",
        "'true'",
        "9223372036854775807",
        "-9223372036854775808",
    ]);
    prop_oneof![2 => times, 1 => ids, 1 => spans, 6 => odd.prop_map(str::to_owned)]
}

fn comparison(view: &'static View) -> impl Strategy<Value = String> {
    let columns: Vec<&str> = view.columns.iter().map(|column| column.name).collect();
    let column = prop::sample::select(columns);
    let operators = vec!["=", "=", "=", "<", "<=", ">", ">=", "<>", "IS", "IN"];
    let operator = prop::sample::select(operators);
    let collation = prop::sample::select(vec!["", "", "", " COLLATE NOCASE"]);
    let parts = (column, operator, literal(), literal(), collation);
    parts.prop_map(|(column, operator, one, other, collation)| match operator {
        "IN" => format!("{column} IN ({one}, {other})"),
        _ => format!("{column} {operator} {one}{collation}"),
    })
}

fn question() -> impl Strategy<Value = (&'static str, String)> {
    let of_spans =
        |view: &&&'static View| ["spans", "span_attributes", "model_requests"].contains(&view.name);
    let views: Vec<&'static View> = VIEWS.iter().filter(of_spans).copied().collect();
    prop::sample::select(views).prop_flat_map(|view| {
        let joined = prop::sample::select(vec![" AND ", " AND ", " OR "]);
        let all = prop::collection::vec((comparison(view), joined), 0..4);
        all.prop_map(move |all| {
            let mut condition = "1".to_owned();
            for (comparison, joined) in all {
                condition = format!("({condition}){joined}{comparison}");
            }
            (view.name, condition)
        })
    })
}

fn sorted(sql: &str, pushdown: Pushdown) -> Vec<String> {
    let mut rows = ask(&STORED.1, pushdown, sql).unwrap().rows;
    rows.sort();
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn comparisons_in_the_store_find_what_a_look_at_everything_finds((view, condition) in question()) {
        let sql = format!("SELECT * FROM {view} WHERE {condition}");
        prop_assert_eq!(sorted(&sql, Pushdown::On), sorted(&sql, Pushdown::Off), "{}", sql);
    }

    #[test]
    fn rows_come_in_the_order_asked_for(
        (view, condition) in question(),
        falling in any::<bool>(),
        limit in 1_usize..40,
    ) {
        prop_assume!(view != "model_requests");
        let order = if falling { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT start_time_unix_nano FROM {view} WHERE {condition}
             ORDER BY start_time_unix_nano {order} LIMIT {limit}"
        );
        let ask = |pushdown| ask(&STORED.1, pushdown, &sql).unwrap().rows;
        prop_assert_eq!(ask(Pushdown::On), ask(Pushdown::Off), "{}", sql);
    }
}

#[test]
fn a_number_is_found_by_each_of_its_spellings() {
    let count = |literal: &str, pushdown| {
        let sql = format!("SELECT span_id FROM spans WHERE input_tokens = {literal}");
        sorted(&sql, pushdown).len()
    };
    let expected = count("4", Pushdown::Off);
    assert!(expected > 0);
    for literal in ["4", "4.0", "'4'", "'04'", "' 4'", "'+4'", "'4.0'", "'4e0'"] {
        assert_eq!(count(literal, Pushdown::On), expected, "{literal}");
    }
}

#[test]
fn a_row_has_the_same_id_whichever_rows_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::open(folder.path()).unwrap();
    let minutes = [0, 1, 2].map(|minute| (BEGAN / (60 * SECOND) + minute) * 60 * SECOND);
    let chat = |start: &u64| Span {
        name: "chat".to_owned(),
        start_time_unix_nano: *start,
        end_time_unix_nano: *start + SECOND,
        attributes: vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.request.model", "a"),
        ],
        ..Span::default()
    };
    let spans = minutes.iter().map(chat).collect();
    writer.append(Signal::Traces, traces("one", spans)).unwrap();
    let stored = snapshot(folder.path());
    let all = "SELECT rowid, * FROM model_requests";
    let of_minute = minutes.map(|minute| {
        let one = format!("{all} WHERE minute_unix_nano = {minute}");
        ask(&stored, Pushdown::On, &one).unwrap().rows
    });
    let expected = ask(&stored, Pushdown::On, all).unwrap().rows;
    assert_eq!(expected.len(), 3);
    assert_eq!(of_minute.concat(), expected);
}

#[test]
fn a_join_finds_what_a_look_at_everything_finds() {
    let sql = "SELECT s.span_id, s.name, a.type FROM spans s
               JOIN span_attributes a USING (trace_id, span_id)
               WHERE a.key = 'k' AND a.value = 48 AND s.name = 'chat'";
    let found = sorted(sql, Pushdown::On);
    assert!(!found.is_empty());
    assert_eq!(found, sorted(sql, Pushdown::Off));
}
