//! `llt gguf`

use crate::llt::{Llt, assert_ran};

fn proof() -> Vec<u8> {
    std::fs::read(llamatelemetry_testbed::proof_model()).unwrap()
}

#[test]
fn the_facts_of_a_file() {
    let llt = Llt::new();
    llt.file("m.gguf", proof());
    assert_ran!(llt.run(&["gguf", "inspect", "m.gguf", "--metadata", "--tensors"]));
}

#[test]
fn the_facts_as_a_document() {
    let llt = Llt::new();
    llt.file("m.gguf", proof());
    let json = llt.run(&["gguf", "inspect", "m.gguf", "--json"]).json();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["facts"]["architecture"], "llama");
    assert_eq!(json["files"][0]["path"], "m.gguf");
    assert!(json.get("metadata").is_none());
    let json = llt
        .run(&["gguf", "inspect", "m.gguf", "--json", "--metadata"])
        .json();
    assert_eq!(json["metadata"]["general.architecture"], "llama");
}

#[test]
fn sound_and_broken_files_are_told_apart() {
    let llt = Llt::new();
    let whole = proof();
    llt.file("whole.gguf", &whole);
    llt.file("cut.gguf", &whole[..whole.len() / 2]);
    llt.file("text.gguf", "this is a text\n");
    let ran = llt.run(&[
        "gguf",
        "validate",
        "whole.gguf",
        "cut.gguf",
        "text.gguf",
        "none.gguf",
    ]);
    assert_ran!(ran);
    let ran = llt.run(&["gguf", "validate", "whole.gguf"]);
    assert_eq!(ran.code, Some(0));
    let ran = llt.run(&["gguf", "validate", "text.gguf", "--json"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.json()["files"][0]["verdict"], "broken");
}

#[test]
fn a_file_that_is_no_gguf() {
    let llt = Llt::new();
    llt.file("text.gguf", "this is a text\n");
    assert_ran!(llt.run(&["gguf", "inspect", "text.gguf"]));
}
