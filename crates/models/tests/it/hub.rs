//! The hub's protocol and its cache, against a local server.

use crate::made::{FIRST, Hub, Notes, SECOND, gguf, offline, sha256};
use llamatelemetry_models::{ModelError, ModelSource, ensure, find, pull};
use llamatelemetry_progress::Silent;
use llamatelemetry_testbed::{Faults, Served};
use std::path::{Path, PathBuf};

const REPO: &str = "lab/Tiny-GGUF";

fn repository(cache: &Path) -> PathBuf {
    cache.join("models--lab--Tiny-GGUF")
}

#[test]
fn the_cache_is_laid_out_as_llama_cpp_lays_it_out() {
    let hub = Hub::start();
    let (q4, q8) = (gguf("four"), gguf("eight"));
    hub.publish(
        REPO,
        FIRST,
        &[("t-Q8_0.gguf", q8), ("t-Q4_K_M.gguf", q4.clone())],
    );
    let home = hub.home();
    let settings = home.settings();
    let model = ensure("hf:lab/Tiny-GGUF", &settings, &Silent).expect("a model");
    let folder = repository(&settings.models.hub_cache);
    let digest = sha256(&q4);
    assert_eq!(model.name, "lab/Tiny-GGUF:Q4_K_M");
    assert_eq!(
        model.path,
        folder.join("snapshots").join(FIRST).join("t-Q4_K_M.gguf")
    );
    assert_eq!(
        std::fs::read_link(&model.path).expect("a link"),
        Path::new("../../blobs").join(&digest)
    );
    assert_eq!(
        std::fs::read(folder.join("blobs").join(&digest)).expect("an object"),
        q4
    );
    assert_eq!(
        std::fs::read_to_string(folder.join("refs/main")).expect("a branch"),
        FIRST
    );
    assert_eq!(model.sha256, Some(digest));
    assert_eq!(model.size, q4.len() as u64);
    assert_eq!(
        model.source,
        ModelSource::Hub {
            repo: REPO.to_owned(),
            revision: FIRST.to_owned(),
            file: "t-Q4_K_M.gguf".to_owned(),
        }
    );
    let asked = hub.asked();
    assert_eq!(
        asked.first().map(String::as_str),
        Some("/api/models/lab/Tiny-GGUF/revision/main?blobs=true")
    );
    assert!(!asked.iter().any(|path| path.contains("Q8_0")), "{asked:?}");
    let again = ensure("lab/tiny-gguf", &settings, &Silent);
    assert!(
        again.is_err(),
        "another repository: the hub's names have their case"
    );
    hub.asked();
    let again = ensure(REPO, &settings, &Silent).expect("the same model");
    assert_eq!(again, model);
    assert_eq!(
        hub.asked(),
        Vec::<String>::new(),
        "what is here is not asked for"
    );
}

#[test]
fn quantizations_and_files_are_chosen_by_name() {
    let hub = Hub::start();
    let files =
        ["Q2_K", "Q4_K_M", "UD-IQ1_S"].map(|quant| (format!("sub/t-{quant}.gguf"), gguf(quant)));
    let files: Vec<(&str, Vec<u8>)> = files
        .iter()
        .map(|(path, bytes)| (path.as_str(), bytes.clone()))
        .collect();
    hub.publish(REPO, FIRST, &files);
    let home = hub.home();
    let settings = home.settings();
    for (name, file) in [
        ("hf:lab/Tiny-GGUF:q2_k", "sub/t-Q2_K.gguf"),
        ("lab/Tiny-GGUF:UD-IQ1_S", "sub/t-UD-IQ1_S.gguf"),
        ("lab/Tiny-GGUF/sub/t-Q4_K_M.gguf", "sub/t-Q4_K_M.gguf"),
        ("hf.co/lab/Tiny-GGUF:Q4_K_M", "sub/t-Q4_K_M.gguf"),
    ] {
        let model = ensure(name, &settings, &Silent).expect(name);
        assert!(
            model.path.ends_with(file),
            "{name}: {}",
            model.path.display()
        );
        assert!(model.path.is_file());
    }
    let address = format!(
        "{}/lab/Tiny-GGUF/blob/main/sub/t-Q2_K.gguf",
        hub.files.url("")
    );
    let model = ensure(&address, &settings, &Silent).expect("the page of a file");
    assert!(matches!(model.source, ModelSource::Hub { .. }));
    let error = ensure("hf:lab/Tiny-GGUF:Q6_K", &settings, &Silent).expect_err("no such");
    assert_eq!(error.to_string(), "lab/Tiny-GGUF has no quantization Q6_K");
    assert_eq!(error.hints(), ["it has Q2_K, Q4_K_M, IQ1_S"]);
    let error = ensure("hf:lab/Tiny-GGUF/t.gguf", &settings, &Silent).expect_err("no such");
    assert!(matches!(error, ModelError::NoSuchFile { .. }), "{error}");
}

#[test]
fn all_parts_come_and_the_projector_with_them() {
    let hub = Hub::start();
    let files = [
        "big-Q4_K_M-00001-of-00002.gguf",
        "big-Q4_K_M-00002-of-00002.gguf",
        "mmproj-BF16.gguf",
        "mmproj-F32.gguf",
    ]
    .map(|path| (path, gguf(path)));
    hub.publish(REPO, FIRST, &files);
    let home = hub.home();
    let settings = home.settings();
    let model = ensure(REPO, &settings, &Silent).expect("a model");
    let names: Vec<_> = model
        .shards
        .iter()
        .filter_map(|path| path.file_name())
        .collect();
    assert_eq!(
        names,
        [
            "big-Q4_K_M-00001-of-00002.gguf",
            "big-Q4_K_M-00002-of-00002.gguf"
        ]
    );
    assert_eq!(model.path, model.shards[0]);
    assert!(
        model
            .projector
            .as_ref()
            .is_some_and(|path| path.ends_with("mmproj-BF16.gguf"))
    );
    let digests = format!("{}\n{}\n", sha256(&files[0].1), sha256(&files[1].1));
    assert_eq!(model.sha256, Some(sha256(digests.as_bytes())));
    assert!(!hub.asked().iter().any(|path| path.contains("F32")));
    // A part that is gone is fetched again, and only it.
    std::fs::remove_file(std::fs::canonicalize(&model.shards[1]).expect("an object"))
        .expect("gone");
    ensure(REPO, &settings, &Silent).expect("whole again");
    let asked = hub.asked();
    assert!(
        asked.iter().any(|path| path.contains("00002-of")),
        "{asked:?}"
    );
    assert!(
        !asked.iter().any(|path| path.contains("00001-of")),
        "{asked:?}"
    );
}

#[test]
fn a_repository_that_lacks_a_part_is_refused() {
    let hub = Hub::start();
    hub.publish(REPO, FIRST, &[("b-Q4_K_M-00001-of-00002.gguf", gguf("b"))]);
    let error = ensure(REPO, &hub.home().settings(), &Silent).expect_err("incomplete");
    assert!(
        matches!(&error, ModelError::MissingShards { missing, .. } if missing == &["b-Q4_K_M-00002-of-00002.gguf"]),
        "{error}"
    );
}

#[test]
fn wrong_bytes_are_refused_and_right_ones_taken_then() {
    let hub = Hub::start();
    hub.publish(REPO, FIRST, &[("t-Q4_K_M.gguf", gguf("right"))]);
    let path = format!("/{REPO}/resolve/{FIRST}/t-Q4_K_M.gguf");
    hub.files.set_faults(
        &path,
        Faults {
            wrong_byte: Some(2000),
            ..Faults::default()
        },
    );
    let home = hub.home();
    let settings = home.settings();
    let error = ensure(REPO, &settings, &Silent).expect_err("wrong bytes");
    assert!(error.to_string().contains("SHA-256"), "{error}");
    let blobs = repository(&settings.models.hub_cache).join("blobs");
    let left = std::fs::read_dir(blobs).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing bad is kept as an object");
    hub.files.set_faults(&path, Faults::default());
    ensure(REPO, &settings, &Silent).expect("right bytes");
}

#[test]
fn a_digest_that_an_address_of_the_hub_promises_is_held_to() {
    let hub = Hub::start();
    let bytes = gguf("promised");
    hub.publish(REPO, FIRST, &[("t-Q4_K_M.gguf", bytes.clone())]);
    let home = hub.home();
    let settings = home.settings();
    let address = hub
        .files
        .url(&format!("/{REPO}/resolve/main/t-Q4_K_M.gguf"));
    let wrong = format!("{address}#sha256={}", "0".repeat(64));
    let right = format!("{address}#sha256={}", sha256(&bytes));
    // Neither before the file is here, nor after.
    for _ in 0..2 {
        let error = ensure(&wrong, &settings, &Silent).expect_err("another file");
        assert!(error.to_string().contains("SHA-256"), "{error}");
        let model = ensure(&right, &settings, &Silent).expect("that file");
        assert!(matches!(model.source, ModelSource::Hub { .. }));
        assert_eq!(std::fs::read(&model.path).expect("its file"), bytes);
    }
}

#[test]
fn the_token_goes_to_the_hub_and_not_to_the_host_it_redirects_to() {
    let hub = Hub::start();
    let bytes = gguf("t");
    hub.publish(REPO, FIRST, &[("t-Q4_K_M.gguf", bytes.clone())]);
    hub.files.put("/store/object", Served::new(bytes));
    let redirect = Some(hub.files.url_by_name("/store/object"));
    let path = format!("/{REPO}/resolve/{FIRST}/t-Q4_K_M.gguf");
    hub.files.set_faults(
        &path,
        Faults {
            redirect,
            ..Faults::default()
        },
    );
    let home = hub.home().with("HF_TOKEN", "hf_verysecret");
    ensure(REPO, &home.settings(), &Silent).expect("a model");
    for seen in hub.files.seen() {
        let sent = seen.headers.get("authorization").map(String::as_str);
        let expected = (!seen.path.starts_with("/store")).then_some("Bearer hf_verysecret");
        assert_eq!(sent, expected, "{}", seen.path);
    }
}

#[test]
fn offline_uses_what_is_here_and_says_what_is_not() {
    let hub = Hub::start();
    hub.publish(
        REPO,
        FIRST,
        &[("t-Q8_0.gguf", gguf("t")), ("t-F16.gguf", gguf("f"))],
    );
    let home = hub.home();
    let settings = home.settings();
    let error = ensure(REPO, &offline(settings.clone()), &Silent).expect_err("not here");
    assert_eq!(
        error.to_string(),
        "offline mode is on and this model is not here: lab/Tiny-GGUF"
    );
    assert!(hub.asked().is_empty());
    let model = ensure(REPO, &settings, &Silent).expect("a model");
    hub.asked();
    assert_eq!(
        ensure(REPO, &offline(settings.clone()), &Silent).expect("here"),
        model
    );
    let error =
        ensure("hf:lab/Tiny-GGUF:F16", &offline(settings.clone()), &Silent).expect_err("not here");
    assert!(matches!(error, ModelError::Offline { .. }), "{error}");
    let error = find("hf:lab/Tiny-GGUF:F16", &settings).expect_err("not here");
    assert!(matches!(error, ModelError::NotHere { .. }), "{error}");
    assert!(hub.asked().is_empty());
}

#[test]
fn a_newer_commit_is_taken_by_pull_and_the_older_used_until_then() {
    let hub = Hub::start();
    let (old, new) = (gguf("old"), gguf("new"));
    hub.publish(
        REPO,
        FIRST,
        &[
            ("t-Q4_K_M.gguf", old.clone()),
            ("mmproj-F16.gguf", gguf("same")),
        ],
    );
    let home = hub.home();
    let settings = home.settings();
    ensure(REPO, &settings, &Silent).expect("a model");
    hub.publish(
        REPO,
        SECOND,
        &[
            ("t-Q4_K_M.gguf", new.clone()),
            ("mmproj-F16.gguf", gguf("same")),
        ],
    );
    hub.asked();
    let used = ensure(REPO, &settings, &Silent).expect("a model");
    assert_eq!(used.sha256, Some(sha256(&old)));
    assert!(hub.asked().is_empty());
    let pulled = pull(REPO, &settings, &Silent).expect("the newer model");
    assert_eq!(pulled.sha256, Some(sha256(&new)));
    assert!(
        !hub.asked().iter().any(|path| path.contains("mmproj")),
        "the same object is not fetched"
    );
    assert_eq!(ensure(REPO, &settings, &Silent).expect("a model"), pulled);
}

#[test]
fn a_pull_that_breaks_leaves_the_older_model_in_use() {
    let hub = Hub::start();
    hub.publish(REPO, FIRST, &[("t-Q4_K_M.gguf", gguf("old"))]);
    let home = hub.home();
    let settings = home.settings();
    let model = ensure(REPO, &settings, &Silent).expect("a model");
    hub.publish(REPO, SECOND, &[("t-Q4_K_M.gguf", gguf("new"))]);
    let path = format!("/{REPO}/resolve/{SECOND}/t-Q4_K_M.gguf");
    hub.files.set_faults(
        &path,
        Faults {
            statuses: vec![404; 20],
            ..Faults::default()
        },
    );
    pull(REPO, &settings, &Silent).expect_err("broken");
    assert_eq!(ensure(REPO, &settings, &Silent).expect("a model"), model);
}

#[test]
fn what_another_tool_fetched_is_used_without_the_hub() {
    let hub = Hub::start();
    let home = hub.home();
    let settings = home.settings();
    let folder = repository(&settings.models.hub_cache);
    let bytes = gguf("theirs");
    let snapshot = folder.join("snapshots").join(FIRST);
    std::fs::create_dir_all(&snapshot).expect("a folder");
    std::fs::create_dir_all(folder.join("blobs")).expect("a folder");
    std::fs::create_dir_all(folder.join("refs")).expect("a folder");
    let digest = sha256(&bytes);
    std::fs::write(folder.join("blobs").join(&digest), &bytes).expect("an object");
    std::fs::write(folder.join("refs/main"), FIRST).expect("a branch");
    let link = |name: &str| {
        std::os::unix::fs::symlink(Path::new("../../blobs").join(&digest), snapshot.join(name))
            .expect("a link");
    };
    link("t-Q8_0.gguf");
    let model = ensure("hf:lab/Tiny-GGUF:Q8_0", &settings, &Silent).expect("a model");
    assert_eq!(model.sha256, None, "nobody here has read it yet");
    assert!(hub.asked().is_empty());
    // Without a quantization the hub may have a better one, so it is asked; it does not answer.
    let notes = Notes::default();
    hub.files.put(
        &format!("/api/models/{REPO}/revision/main"),
        Served::default().with(Faults {
            statuses: vec![503; 50],
            ..Faults::default()
        }),
    );
    let fallback = ensure(REPO, &settings, &notes).expect("the one that is here");
    assert_eq!(fallback.path, model.path);
    assert!(
        notes
            .all()
            .iter()
            .any(|note| note.contains("from the cache")),
        "{:?}",
        notes.all()
    );
    link("t-Q4_K_M.gguf");
    hub.asked();
    let sure = ensure(REPO, &settings, &Silent).expect("a model");
    assert!(sure.path.ends_with("t-Q4_K_M.gguf"));
    assert!(hub.asked().is_empty(), "the default quantization is here");
}

#[test]
fn a_mirror_that_tells_no_digests_is_asked_for_the_tree() {
    let hub = Hub::start();
    let bytes = gguf("t");
    hub.publish(REPO, FIRST, &[("d/t-Q4_K_M.gguf", bytes.clone())]);
    let bare = format!(r#"{{"sha":"{FIRST}","siblings":[{{"rfilename":"d/t-Q4_K_M.gguf"}}]}}"#);
    hub.files.put(
        &format!("/api/models/{REPO}/revision/main"),
        Served::new(bare.into_bytes()),
    );
    let tree = format!(
        r#"[{{"type":"directory","path":"d"}},{{"type":"file","path":"d/t-Q4_K_M.gguf","size":{0},"oid":"{FIRST}","lfs":{{"oid":"{1}","size":{0}}}}}]"#,
        bytes.len(),
        sha256(&bytes)
    );
    hub.files.put(
        &format!("/api/models/{REPO}/tree/{FIRST}"),
        Served::new(tree.into_bytes()),
    );
    let model = ensure(REPO, &hub.home().settings(), &Silent).expect("a model");
    assert_eq!(model.sha256, Some(sha256(&bytes)));
}

#[test]
fn two_at_once_fetch_once() {
    let hub = Hub::start();
    let bytes = gguf("t");
    hub.publish(REPO, FIRST, &[("t-Q4_K_M.gguf", bytes.clone())]);
    let home = hub.home();
    let settings = home.settings();
    let models: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| ensure(REPO, &settings, &Silent).expect("a model")))
            .collect();
        running
            .into_iter()
            .map(|one| one.join().expect("no panic"))
            .collect()
    });
    assert!(models.iter().all(|model| model.path == models[0].path));
    let sent: u64 = hub
        .files
        .seen()
        .iter()
        .filter(|seen| seen.path.contains("/resolve/"))
        .map(|seen| seen.sent)
        .sum();
    assert_eq!(sent, bytes.len() as u64);
}
