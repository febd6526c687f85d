//! `llt tokenize`, `llt embed`, `llt rerank`: from each kind of input to each kind of output.

use crate::llt::{Llt, Ran};
use serde_json::{Value, json};

/// The tiny model that knows the alphabet, and the one that ranks by the word `good`.
fn models() -> (Llt, String, String) {
    let path = |file: std::path::PathBuf| file.to_str().unwrap().to_owned();
    (
        Llt::with_runtime(),
        path(llamatelemetry_testbed::proof_model()),
        path(llamatelemetry_testbed::ranking_model()),
    )
}

/// The lines of JSON on stdout.
#[track_caller]
fn lines(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    let lines = ran.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn tokens_of_arguments_files_and_stdin() {
    let (llt, letters, _) = models();
    let ran = llt.run(&["tokenize", &letters, "ab", "é", "--json"]);
    let told = lines(&ran);
    assert_eq!(told[0]["count"], 2);
    assert_eq!(told[0]["tokens"][1], json!({"id": 3 + 0x62, "piece": "b"}));
    assert_eq!(told[1]["tokens"][0]["piece"], json!([0xc3]));

    // A file is one text, and so is stdin.
    llt.file("text", "a\nb");
    assert_eq!(
        lines(&llt.run(&["tokenize", &letters, "--file", "text", "--json"]))[0]["count"],
        3
    );
    let piped = ["tokenize", &letters, "--special", "--json"];
    assert_eq!(
        lines(&llt.run_with_input(&piped, "a\nb"))[0]["tokens"][0]["id"],
        1
    );

    let ran = llt.run(&["tokenize", &letters, "a"]);
    assert!(ran.stdout.contains("100  \"a\""), "{}", ran.text());
    assert!(ran.stderr.contains("1 tokens"), "{}", ran.text());
}

#[test]
fn vectors_of_a_model_that_generates() {
    let (llt, letters, _) = models();
    llt.file("texts", "abc\n\nxyz\n");
    let told = lines(&llt.run(&["embed", &letters, "--file", "texts", "--json"]));
    assert_eq!(told.len(), 2);
    assert_eq!(told[1]["embedding"].as_array().unwrap().len(), 64);

    let out = ["embed", &letters, "abc", "xyz", "--out", "v.npy"];
    let ran = llt.run(&out);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), ""),
        "{}",
        ran.text()
    );
    assert!(
        ran.stderr.contains("2 vectors of 64 numbers"),
        "{}",
        ran.text()
    );
    let file = std::fs::read(llt.root().join("v.npy")).unwrap();
    let first = &file[file.len() - 2 * 64 * 4..][..4];
    let first = f64::from(f32::from_le_bytes(first.try_into().unwrap()));
    assert!((first - told[0]["embedding"][0].as_f64().unwrap()).abs() < 1e-5);
}

#[test]
fn vectors_are_not_written_in_a_form_that_is_not_there() {
    let ran = Llt::new().run(&["embed", "smollm2", "abc", "--out", "v.arrow"]);
    assert_eq!(ran.code, Some(2), "{}", ran.text());
    assert!(ran.stderr.contains("Arrow"), "{}", ran.text());
}

#[test]
fn documents_by_their_scores() {
    let (llt, letters, ranks) = models();
    let documents = ["bad bad", "good good", "bad good"];
    let told = [
        &["rerank", &ranks, "is"][..],
        &documents,
        &["--top", "2", "--json"],
    ]
    .concat();
    let told = lines(&llt.run(&told));
    assert_eq!(told.len(), 2);
    assert_eq!(
        (&told[0]["index"], &told[0]["document"]),
        (&json!(1), &json!("good good"))
    );
    assert!(told[0]["relevance_score"].as_f64() > told[1]["relevance_score"].as_f64());

    let piped = llt.run_with_input(&["rerank", &ranks, "is"], "bad\ngood\n");
    assert!(
        piped.stdout.find("good") < piped.stdout.find("bad"),
        "{}",
        piped.text()
    );
    // A model that generates has no scores, and makes none up.
    let ran = llt.run(&["rerank", &letters, "is", "good"]);
    assert_eq!(ran.code, Some(2), "{}", ran.text());
    assert!(ran.stderr.contains("does not rank"), "{}", ran.text());
}

#[test]
fn nothing_to_do_is_wrong_usage() {
    for command in [&["embed", "smollm2"][..], &["rerank", "smollm2", "is"]] {
        let ran = Llt::new().run_with_input(command, "\n\n");
        assert_eq!(ran.code, Some(2), "{}", ran.text());
        assert!(ran.stderr.contains("there are no texts"), "{}", ran.text());
    }
}
