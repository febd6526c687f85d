//! Paths: files, parts of split models, folders, and files that are no models.

use crate::made::{gguf, gguf_of};
use llamatelemetry_models::{LocalModel, ModelError, NotGguf, ensure, show};
use llamatelemetry_progress::Silent;
use llamatelemetry_testbed::{ScratchHome, proof_model, scratch_home};
use std::path::{Path, PathBuf};

struct Folder {
    home: ScratchHome,
    path: PathBuf,
}

impl Folder {
    fn with(files: &[(&str, &[u8])]) -> Self {
        let home = scratch_home();
        let path = home.root().join("files");
        std::fs::create_dir_all(&path).expect("a folder");
        for (name, bytes) in files {
            std::fs::write(path.join(name), bytes).expect("a file");
        }
        Self { home, path }
    }

    fn ensure(&self, name: &str) -> Result<LocalModel, ModelError> {
        let path = if name.is_empty() {
            self.path.clone()
        } else {
            self.path.join(name)
        };
        ensure(
            path.to_str().expect("UTF-8"),
            &self.home.settings(),
            &Silent,
        )
    }
}

#[test]
fn a_file_and_a_folder_with_one_model() {
    let bytes = std::fs::read(proof_model()).expect("the proof model");
    let folder = Folder::with(&[("proof-Q8_0.gguf", &bytes), ("notes.txt", b"x")]);
    let model = folder.ensure("proof-Q8_0.gguf").expect("a model");
    assert_eq!(model.name, "proof-Q8_0");
    assert_eq!(model.sha256, None);
    assert_eq!(folder.ensure("").expect("the only one"), model);
    let relative = format!("file://{}", model.path.display());
    let same = ensure(&relative, &folder.home.settings(), &Silent).expect("a model");
    assert_eq!(same, model);
}

#[test]
fn the_home_sign_is_expanded() {
    let home = scratch_home();
    let user = home.root().join("user");
    std::fs::create_dir_all(&user).expect("a folder");
    std::fs::write(user.join("m.gguf"), gguf("m")).expect("a file");
    let model = ensure("~/m.gguf", &home.settings(), &Silent).expect("a model");
    assert_eq!(model.path, user.join("m.gguf"));
}

#[test]
fn a_folder_with_several_models_is_a_question() {
    let folder = Folder::with(&[("a.gguf", &gguf("a")), ("b.gguf", &gguf("b"))]);
    let error = folder.ensure("").expect_err("two models");
    assert!(
        error.to_string().starts_with("the folder holds 2 models"),
        "{error}"
    );
    assert_eq!(error.hints().len(), 2);
    let empty = Folder::with(&[("x.txt", b"x")]);
    let error = empty.ensure("").expect_err("no model");
    assert_eq!(error.hints(), ["the folder holds no .gguf file"]);
}

#[test]
fn any_part_leads_to_the_whole_and_a_missing_one_is_named() {
    let (one, two) = (gguf("1"), gguf("2"));
    let folder = Folder::with(&[
        ("s-00001-of-00002.gguf", &one),
        ("s-00002-of-00002.gguf", &two),
    ]);
    let model = folder.ensure("s-00002-of-00002.gguf").expect("a model");
    assert!(model.path.ends_with("s-00001-of-00002.gguf"));
    assert_eq!((model.shards.len(), model.name.as_str()), (2, "s"));
    assert_eq!(model.size, (one.len() + two.len()) as u64);
    std::fs::remove_file(folder.path.join("s-00001-of-00002.gguf")).expect("gone");
    let error = folder
        .ensure("s-00002-of-00002.gguf")
        .expect_err("a part is missing");
    assert!(
        error
            .to_string()
            .starts_with("the split model lacks 1 of its 2 files"),
        "{error}"
    );
    assert!(error.hints()[0].contains("s-00001-of-00002.gguf"));
}

#[test]
fn a_projector_is_paired_only_where_it_is_certain() {
    let files: Vec<(&str, Vec<u8>)> = ["v-Q4_K_M.gguf", "v-Q8_0.gguf", "mmproj-v-F16.gguf"]
        .map(|name| (name, gguf(name)))
        .into();
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (*name, bytes.as_slice()))
        .collect();
    let folder = Folder::with(&files);
    let model = folder.ensure("v-Q4_K_M.gguf").expect("a model");
    assert!(
        model
            .projector
            .is_some_and(|path| path.ends_with("mmproj-v-F16.gguf"))
    );
    std::fs::write(folder.path.join("other-Q4_0.gguf"), gguf("o")).expect("a file");
    let model = folder.ensure("v-Q4_K_M.gguf").expect("a model");
    assert_eq!(model.projector, None, "it may be the other's");
}

#[test]
fn a_missing_file_names_its_look_alikes() {
    let folder = Folder::with(&[("model-Q4_K_M.gguf", &gguf("m"))]);
    let error = folder.ensure("modle-Q4_K_M.gguf").expect_err("a slip");
    let path = folder.path.join("modle-Q4_K_M.gguf");
    assert_eq!(
        error.to_string(),
        format!("there is no such file: {}", path.display())
    );
    let meant = folder.path.join("model-Q4_K_M.gguf");
    assert_eq!(
        error.hints(),
        [format!("did you mean {}?", meant.display())]
    );
}

#[test]
fn files_that_are_no_models_say_what_they_look_like() {
    let whole = gguf("whole");
    for (bytes, looks_like) in [
        (&b"<html><body>Sign in</body></html>"[..], NotGguf::WebPage),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
            NotGguf::LfsPointer,
        ),
        (b"", NotGguf::Empty),
        (b"PK\x03\x04zip", NotGguf::Zip),
    ] {
        let folder = Folder::with(&[("m.gguf", bytes)]);
        let error = folder.ensure("m.gguf").expect_err("no model");
        assert!(
            matches!(error, ModelError::NotGguf { looks_like: found, .. } if found == looks_like),
            "{error}"
        );
    }
    let cut = &whole[..whole.len() - 100];
    let folder = Folder::with(&[("m.gguf", cut)]);
    let error = folder.ensure("m.gguf").expect_err("cut short");
    let path = folder.path.join("m.gguf");
    assert_eq!(
        error.to_string(),
        format!(
            "the model file is cut short (the data of tensor w ends at byte {}, past the end of the \
             file at {}): {}",
            whole.len(),
            cut.len(),
            path.display()
        )
    );
    let folder = Folder::with(&[("m.gguf", &whole[..40])]);
    assert!(matches!(
        folder.ensure("m.gguf"),
        Err(ModelError::Truncated { size: 40, .. })
    ));
    let mut damaged = whole;
    damaged[4] = 99;
    let folder = Folder::with(&[("m.gguf", &damaged)]);
    assert!(matches!(
        folder.ensure("m.gguf"),
        Err(ModelError::Damaged { .. })
    ));
}

#[test]
fn an_unknown_architecture_is_llama_servers_to_refuse_but_shown() {
    let folder = Folder::with(&[
        ("n.gguf", &gguf_of("hyperlama9", "n", 64)),
        ("k.gguf", &gguf("k")),
    ]);
    let path = |name: &str| folder.path.join(name).to_str().expect("UTF-8").to_owned();
    folder.ensure("n.gguf").expect("its file is sound");
    let settings = folder.home.settings();
    let report = show(&path("n.gguf"), &settings).expect("a report");
    assert_eq!(report.architecture_known, Some(false));
    assert_eq!(
        report.facts.map(|facts| facts.architecture).as_deref(),
        Some("hyperlama9")
    );
    assert!(report.last_use.is_some());
    let report = show(&path("k.gguf"), &settings).expect("a report");
    assert_eq!(report.architecture_known, Some(true));
    assert_eq!(report.last_use, None);
}

#[test]
fn a_model_of_the_catalogue_that_is_not_here_is_shown() {
    let report = show("Llama-3.1-8B", &scratch_home().settings()).expect("a report");
    assert_eq!(
        report.catalogue.map(|entry| entry.name.as_str()),
        Some("llama-3.1-8b-Q4_K_M")
    );
    assert_eq!((report.model, report.facts), (None, None));
}

#[test]
fn an_unknown_name_names_the_nearest() {
    let home = scratch_home();
    let settings = home.settings();
    let error = ensure("smolm2", &settings, &Silent).expect_err("a slip");
    assert_eq!(error.to_string(), "no model is called \"smolm2\"");
    assert!(
        error.hints()[0].starts_with("did you mean smollm2"),
        "{:?}",
        error.hints()
    );
    let error = ensure("Explain CUDA in one sentence.", &settings, &Silent).expect_err("a prompt");
    assert!(
        error
            .hints()
            .iter()
            .any(|hint| hint.contains("llt run MODEL")),
        "{:?}",
        error.hints()
    );
    assert!(!Path::new("Explain CUDA in one sentence.").exists());
}
