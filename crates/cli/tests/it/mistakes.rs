//! The likeliest mistakes, each with the message that a person reads.

use crate::llt::{Llt, assert_ran};

#[test]
fn an_unknown_command() {
    assert_ran!(Llt::new().run(&["rum", "smollm2", "hi"]), @r"
    exit code: 2
    ----- stderr -----
    error: unrecognized subcommand 'rum'

      tip: a similar subcommand exists: 'run'

    Usage: llt [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
}

#[test]
fn an_unknown_model_has_nearest_names() {
    assert_ran!(Llt::new().run(&["run", "smolm2", "hi"]), @r#"
    exit code: 1
    ----- stderr -----
    error: no model is called "smolm2"
      hint: did you mean smollm2?
      hint: a model is a path, a name from `llt models search`, hf:OWNER/REPO[:QUANT], a URL or pip:PACKAGE==VERSION
    "#);
}

#[test]
fn a_prompt_where_the_model_should_be() {
    assert_ran!(Llt::new().run(&["run", "Explain CUDA."]), @r#"
    exit code: 2
    ----- stderr -----
    error: there is nothing to ask
      hint: the model comes first: llt run MODEL "Explain CUDA."
    "#);
}

#[test]
fn a_model_without_a_question() {
    assert_ran!(Llt::new().run(&["run", "smollm2"]), @r#"
    exit code: 2
    ----- stderr -----
    error: there is nothing to ask
      hint: llt run smollm2 "your question"
      hint: llt chat smollm2 for a conversation
    "#);
    assert_ran!(Llt::new().run(&["run", "smollm2", " "]), @r"
    exit code: 2
    ----- stderr -----
    error: the prompt is empty
    ");
}

#[test]
fn a_file_that_is_not_there() {
    let llt = Llt::new();
    llt.file("model.gguf", "");
    assert_ran!(llt.run(&["run", "./modell.gguf", "hi"]), @r"
    exit code: 1
    ----- stderr -----
    error: there is no such file: ./modell.gguf
      hint: did you mean ./model.gguf?
    ");
}

#[test]
fn a_value_that_a_flag_cannot_take() {
    assert_ran!(Llt::new().run(&["run", "smollm2", "hi", "--parallel", "0"]), @r"
    exit code: 2
    ----- stderr -----
    error: `server.parallel` must be a whole number from 1, not `0`: flag --parallel
    ");
    assert_ran!(Llt::new().run(&["run", "smollm2", "hi", "--temperature", "hot"]), @r"
    exit code: 2
    ----- stderr -----
    error: invalid value 'hot' for '--temperature <T>': invalid float literal

    For more information, try '--help'.
    ");
}

#[test]
fn a_schema_or_an_image_that_is_none() {
    let llt = Llt::new();
    llt.file("schema.json", "{");
    llt.file("picture.svg", "<svg/>");
    assert_ran!(llt.run(&["run", "smollm2", "hi", "--json-schema", "schema.json"]), @r"
    exit code: 2
    ----- stderr -----
    error: the schema is not JSON: EOF while parsing an object at line 1 column 1: schema.json
    ");
    assert_ran!(llt.run(&["run", "smollm2", "hi", "--json-schema", "none.json"]), @r"
    exit code: 1
    ----- stderr -----
    error: cannot read the schema none.json
      because: No such file or directory (os error 2)
    ");
    assert_ran!(llt.run(&["run", "smollm2", "hi", "--image", "picture.svg"]), @r"
    exit code: 2
    ----- stderr -----
    error: this is no image that can be sent: picture.svg
      hint: PNG, JPEG, GIF, WebP and BMP can be
    ");
}

#[test]
fn a_mistake_is_a_document_too() {
    let ran = Llt::new().run(&["run", "smolm2", "hi", "--json"]);
    assert_eq!(ran.code, Some(1));
    insta::assert_snapshot!(ran.stdout, @r#"
    {
      "schema_version": 1,
      "error": {
        "message": "no model is called \"smolm2\"",
        "causes": [],
        "tried": [],
        "hints": [
          "did you mean smollm2?",
          "a model is a path, a name from `llt models search`, hf:OWNER/REPO[:QUANT], a URL or pip:PACKAGE==VERSION"
        ],
        "log": []
      }
    }
    "#);
}

#[test]
fn a_broken_config_file() {
    let llt = Llt::new();
    llt.file("home/config.toml", "[network]\nofline = true\n");
    assert_ran!(llt.run(&["models", "list"]), @r"
    exit code: 1
    ----- stderr -----
    error: unknown setting `network.ofline`: [root]/home/config.toml:2
      hint: did you mean `network.offline`?
    ");
}

#[test]
fn a_misspelt_variable_is_told_and_the_work_goes_on() {
    let ran = Llt::new()
        .with("LLAMATELEMETRY_CONTXT", "1")
        .run(&["models", "list"]);
    assert_ran!(ran, @r"
    exit code: 0
    ----- stderr -----
    warning: the environment variable LLAMATELEMETRY_CONTXT means nothing; did you mean LLAMATELEMETRY_CONTEXT?
    no models are here; `llt models search` shows what can be fetched
    ");
}

#[test]
fn a_home_that_cannot_be_written() {
    let llt = Llt::new();
    llt.file("file", "");
    let home = llt.root().join("file/home");
    let llt = llt.with("LLAMATELEMETRY_HOME", home);
    let ran = llt.run(&["runtime", "install"]);
    assert_ran!(ran, @r"
    exit code: 1
    ----- stderr -----
    error: cannot use the home folder: [root]/file/home/locks
      because: Not a directory (os error 20)
    ");
}

#[test]
fn a_reader_that_is_gone_is_no_failure() {
    use std::process::Stdio;
    let llt = Llt::new();
    let mut child = llt
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
