//! `llt trace`

use crate::llt::{Llt, assert_ran};

/// One request's span as an OTLP file holds it; `more` are further attributes.
fn span(more: &str) -> String {
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[]}},"scopeSpans":[{{"scope":{{"name":"x"}},"spans":[{{
        "traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","parentSpanId":"",
        "name":"chat m","kind":3,"startTimeUnixNano":"1000","endTimeUnixNano":"2000",
        "attributes":[
          {{"key":"gen_ai.operation.name","value":{{"stringValue":"chat"}}}},
          {{"key":"gen_ai.provider.name","value":{{"stringValue":"openai"}}}},
          {{"key":"gen_ai.request.model","value":{{"stringValue":"m"}}}}{more}],
        "status":{{}}}}]}}]}}]}}"#
    )
    .replace('\n', " ")
}

const DEPRECATED: &str = r#",{"key":"gen_ai.usage.prompt_tokens","value":{"intValue":"3"}}"#;

#[test]
fn sound_spans_have_no_violation() {
    let llt = Llt::new();
    llt.file(
        "sound.jsonl",
        format!("{}\n{{\"resourceLogs\":[]}}\n", span("")),
    );
    assert_ran!(llt.run(&["trace", "check", "sound.jsonl"]));
    let ran = llt.run(&["trace", "check", "sound.jsonl", "--json"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.json()["checked"]["spans"], 1);
}

#[test]
fn violations_are_told_with_their_rule() {
    let llt = Llt::new();
    llt.file("old.json", span(DEPRECATED));
    assert_ran!(llt.run(&["trace", "check", "old.json"]));
    let ran = llt.run(&["trace", "check", "old.json", "--json"]);
    assert_eq!(ran.code, Some(1));
    let first = ran.stdout.lines().next().expect("a finding");
    let first: serde_json::Value = serde_json::from_str(first).expect("JSON");
    assert_eq!(first["rule"], "deprecated_name");
    assert_eq!(first["level"], "violation");
    assert_eq!(first["span_id"], "b7ad6b7169203331");
}

#[test]
fn another_profile_knows_other_names() {
    let llt = Llt::new();
    llt.file("new.json", span(""));
    let ran = llt.run(&["trace", "check", "new.json", "--profile", "v1.36"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("required_attribute_missing"));
    let ran = llt.run(&["trace", "check", "new.json", "--profile", "v2"]);
    assert_eq!(ran.code, Some(2));
}

#[test]
fn what_is_no_otlp_is_an_error() {
    let llt = Llt::new();
    llt.file("text.txt", "this is a text\n");
    assert_ran!(llt.run(&["trace", "check", "text.txt"]));
}
