//! What is here: listed, verified, pinned, in use, pruned and removed.

use crate::made::{FIRST, Hub, SECOND, gguf, gguf_of, sha256};
use llamatelemetry_models::{
    Force, Hashing, ModelError, PruneOptions, Scope, UseMark, Verdict, ensure, find, hash, hold,
    list, list_with, pin, prune, pull, remove, unpin, verify,
};
use llamatelemetry_progress::Silent;
use llamatelemetry_settings::Settings;
use llamatelemetry_testbed::{FileServer, Served, scratch_home};
use std::fs::File;
use std::time::{Duration, SystemTime};

const NOW: Duration = Duration::ZERO;

fn everything_unused(scope: Scope) -> PruneOptions {
    PruneOptions {
        unused_for: NOW,
        scope,
        dry_run: false,
    }
}

/// Two models of our own, from an address each.
fn two_of_ours(server: &FileServer, settings: &Settings) {
    for name in ["a", "b"] {
        let path = format!("/{name}.gguf");
        server.put(&path, Served::new(gguf(name)));
        ensure(&server.url(&path), settings, &Silent).expect("a model");
    }
}

#[test]
fn the_list_tells_name_use_pins_and_duplicates() {
    let hub = Hub::start();
    let same = gguf("same");
    hub.publish(
        "lab/One-GGUF",
        FIRST,
        &[
            ("one-Q4_K_M.gguf", same.clone()),
            ("mmproj-F16.gguf", gguf("p")),
        ],
    );
    hub.files.put("/copy.gguf", Served::new(same.clone()));
    let home = hub.home();
    let shelf = home.root().join("shelf");
    std::fs::create_dir_all(&shelf).expect("a folder");
    std::fs::write(shelf.join("loose.gguf"), &same).expect("a file");
    std::fs::write(shelf.join("broken.gguf"), b"GGUF").expect("a file");
    let home = home.with("LLAMATELEMETRY_MODELS", shelf.as_os_str());
    let settings = home.settings();
    let model = ensure("lab/One-GGUF", &settings, &Silent).expect("a model");
    ensure(&hub.files.url("/copy.gguf"), &settings, &Silent).expect("a model");
    pin("lab/One-GGUF", &settings).expect("pinned");
    let _mark = UseMark::take(&model).expect("a mark");
    let found = list(&settings).expect("a list");
    let names: Vec<&str> = found
        .iter()
        .map(|found| found.model.name.as_str())
        .collect();
    assert_eq!(names, ["copy", "lab/One-GGUF:Q4_K_M", "loose"]);
    let one = &found[1];
    assert!(one.pinned && one.in_use && one.last_use.is_some());
    assert_eq!(one.model.projector, model.projector);
    assert_eq!(
        one.duplicates,
        [found[0].model.path.clone()],
        "the loose file was never read"
    );
    let hashed = list_with(&settings, Hashing::SameSize, &Silent).expect("a list");
    assert_eq!(hashed[1].duplicates.len(), 2);
    assert_eq!(hashed[2].model.sha256, Some(sha256(&same)));
    let text = serde_json::to_value(&found).expect("JSON");
    assert_eq!(text[1]["source"]["kind"], "hub");
    assert_eq!(text[1]["name"], "lab/One-GGUF:Q4_K_M");
}

#[test]
fn prune_frees_nothing_that_is_pinned_or_in_use() {
    let server = FileServer::start().expect("a server");
    let (_home, settings) = scratch_home_settings();
    let settings = &settings;
    two_of_ours(&server, settings);
    server.put("/c.gguf", Served::new(gguf("c")));
    let (used, mark) = hold(&server.url("/c.gguf"), settings, &Silent).expect("held");
    pin("a", settings).expect("pinned");
    let dry = PruneOptions {
        dry_run: true,
        ..everything_unused(Scope::HomeAndHub)
    };
    let report = prune(settings, &dry).expect("a report");
    assert_eq!(
        report
            .removed
            .iter()
            .map(|one| one.name.as_str())
            .collect::<Vec<_>>(),
        ["b"]
    );
    assert_eq!(report.freed, gguf("b").len() as u64);
    assert_eq!(
        list(settings).expect("a list").len(),
        3,
        "a dry run removes nothing"
    );
    let report = prune(settings, &everything_unused(Scope::HomeAndHub)).expect("a report");
    let kept: Vec<_> = report
        .kept
        .iter()
        .map(|one| (one.name.as_str(), one.reason.as_str()))
        .collect();
    assert_eq!(kept, [("a", "pinned"), ("c", "in use")]);
    assert!(used.path.is_file());
    assert!(matches!(
        find("b", settings),
        Err(ModelError::Unknown { .. })
    ));
    drop(mark);
    unpin("a", settings).expect("unpinned");
    let lately = PruneOptions {
        unused_for: Duration::from_secs(3600),
        ..everything_unused(Scope::Home)
    };
    let report = prune(settings, &lately).expect("a report");
    assert!(report.removed.is_empty() && report.kept.iter().all(|one| one.reason == "used lately"));
    let report = prune(settings, &everything_unused(Scope::Home)).expect("a report");
    assert_eq!(report.removed.len(), 2);
    assert!(list(settings).expect("a list").is_empty());
}

fn scratch_home_settings() -> (llamatelemetry_testbed::ScratchHome, Settings) {
    let home = scratch_home();
    let settings = home.settings();
    (home, settings)
}

#[test]
fn prune_sweeps_downloads_that_nobody_will_end() {
    let (_home, settings) = scratch_home_settings();
    let home = &settings.home;
    let folder = home.ensure(home.downloads()).expect("a folder");
    let put = |name: &str, days: u64| {
        let path = folder.join(name);
        std::fs::write(&path, [7; 10_000]).expect("a file");
        let then = SystemTime::now() - Duration::from_secs(days * 24 * 3600 + 60);
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_modified(then))
            .expect("a time");
        path
    };
    let old = put("url-old.part", 1);
    let ledger = put("url-old.ledger", 1);
    let fresh = put("url-fresh.part", 0);
    let busy = put("url-busy.part", 3);
    let package = put("thing-1.0-py3-none-any.whl", 9);
    // As a process that goes on with it holds it.
    let _lock = home.lock("download-url-busy", || {}).expect("a lock");
    let mut options = everything_unused(Scope::Home);
    options.dry_run = true;
    let planned = prune(&settings, &options).expect("a report");
    assert!(old.exists());
    options.dry_run = false;
    let report = prune(&settings, &options).expect("a report");
    assert_eq!(report.removed, planned.removed);
    let [removed] = report.removed.as_slice() else {
        panic!("{:?}", report.removed)
    };
    assert_eq!(removed.path, old);
    assert!(removed.bytes >= 10_000 && report.freed == removed.bytes);
    assert!(!old.exists() && !ledger.exists());
    assert!(fresh.exists() && busy.exists() && package.exists());
}

#[test]
fn another_process_that_uses_a_model_keeps_it() {
    let server = FileServer::start().expect("a server");
    let (home, settings) = scratch_home_settings();
    two_of_ours(&server, &settings);
    let path = find("a", &settings).expect("a model").path;
    // `flock` holds the lock as another llamatelemetry would; what it runs waits for its input.
    let Ok(mut other) = home
        .command("flock")
        .arg("--shared")
        .arg(&path)
        .args(["sh", "-c", "echo held; read line"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
    else {
        return llamatelemetry_testbed::skip("no program flock");
    };
    let mut told = [0; 5];
    std::io::Read::read_exact(other.stdout.as_mut().expect("its output"), &mut told).expect("held");
    let error = remove("a", &settings, Force::Yes).expect_err("in use");
    assert_eq!(
        error.to_string(),
        format!("the model is in use: {}", path.display())
    );
    let report = prune(&settings, &everything_unused(Scope::Home)).expect("a report");
    assert_eq!(
        report
            .kept
            .iter()
            .map(|one| one.reason.as_str())
            .collect::<Vec<_>>(),
        ["in use"]
    );
    drop(other.stdin.take());
    other.wait().expect("it ends");
    remove("a", &settings, Force::No).expect("free again");
    assert!(!path.exists());
}

#[test]
fn remove_takes_only_what_is_ours_or_forced() {
    let hub = Hub::start();
    let (small, large) = (gguf("small"), gguf_of("llama", "large", 64 << 10));
    hub.publish(
        "lab/Two-GGUF",
        FIRST,
        &[
            ("t-Q2_K.gguf", small),
            ("t-Q8_0.gguf", large.clone()),
            ("mmproj-F16.gguf", gguf("p")),
        ],
    );
    let home = hub.home();
    let settings = home.settings();
    let kept = ensure("lab/Two-GGUF:Q2_K", &settings, &Silent).expect("a model");
    let gone = ensure("lab/Two-GGUF:Q8_0", &settings, &Silent).expect("a model");
    let error = remove("lab/Two-GGUF:Q8_0", &settings, Force::No).expect_err("shared");
    assert!(
        matches!(
            error,
            ModelError::NotOurs {
                force_helps: true,
                ..
            }
        ),
        "{error}"
    );
    pin("lab/Two-GGUF:Q8_0", &settings).expect("pinned");
    let error = remove("lab/Two-GGUF:Q8_0", &settings, Force::Yes).expect_err("pinned");
    assert!(matches!(error, ModelError::Pinned { .. }), "{error}");
    unpin("lab/Two-GGUF:Q8_0", &settings).expect("unpinned");
    let removed = remove("lab/Two-GGUF:Q8_0", &settings, Force::Yes).expect("removed");
    assert_eq!(removed.bytes, large.len() as u64);
    assert!(!gone.path.exists() && kept.path.is_file());
    assert!(
        kept.projector.as_ref().is_some_and(|path| path.is_file()),
        "the other still needs it"
    );
    remove("lab/Two-GGUF:Q2_K", &settings, Force::Yes).expect("removed");
    let blobs = settings
        .models
        .hub_cache
        .join("models--lab--Two-GGUF/blobs");
    assert_eq!(std::fs::read_dir(blobs).expect("a folder").count(), 0);
    let loose = home.root().join("loose.gguf");
    std::fs::write(&loose, gguf("loose")).expect("a file");
    let error =
        remove(loose.to_str().expect("UTF-8"), &settings, Force::Yes).expect_err("the user's");
    assert!(
        matches!(
            error,
            ModelError::NotOurs {
                force_helps: false,
                ..
            }
        ),
        "{error}"
    );
    assert!(loose.is_file());
}

#[test]
fn prune_in_the_hubs_cache_takes_only_what_we_fetched() {
    let hub = Hub::start();
    hub.publish("lab/Ours-GGUF", FIRST, &[("o-Q4_K_M.gguf", gguf("ours"))]);
    let home = hub.home();
    let settings = home.settings();
    ensure("lab/Ours-GGUF", &settings, &Silent).expect("a model");
    let theirs = settings.models.hub_cache.join("models--lab--Theirs-GGUF");
    let snapshot = theirs.join("snapshots").join(SECOND);
    std::fs::create_dir_all(&snapshot).expect("a folder");
    std::fs::create_dir_all(theirs.join("refs")).expect("a folder");
    std::fs::write(theirs.join("refs/main"), SECOND).expect("a branch");
    std::fs::write(snapshot.join("t-Q4_K_M.gguf"), gguf("theirs")).expect("a file");
    assert_eq!(list(&settings).expect("a list").len(), 2);
    let report = prune(&settings, &everything_unused(Scope::Home)).expect("a report");
    assert!(report.removed.is_empty());
    let report = prune(&settings, &everything_unused(Scope::HomeAndHub)).expect("a report");
    assert_eq!(report.removed.len(), 1, "{report:?}");
    assert!(snapshot.join("t-Q4_K_M.gguf").is_file());
}

#[test]
fn verify_reads_every_byte_and_tells_good_from_bad() {
    let hub = Hub::start();
    let bytes = gguf("v");
    hub.publish("lab/V-GGUF", FIRST, &[("v-Q4_K_M.gguf", bytes.clone())]);
    hub.files.put("/u.gguf", Served::new(bytes.clone()));
    let home = hub.home();
    let settings = home.settings();
    let model = ensure("lab/V-GGUF", &settings, &Silent).expect("a model");
    let url = hub.files.url("/u.gguf");
    let ours = ensure(&url, &settings, &Silent).expect("a model");
    for name in ["lab/V-GGUF", url.as_str()] {
        let verification = verify(name, &settings, &Silent).expect("verified");
        assert!(verification.is_good());
        assert_eq!(verification.files[0].verdict, Verdict::Good);
        assert_eq!(verification.sha256, sha256(&bytes));
    }
    // One byte of the weights flips on the disk; the header stays sound.
    for path in [&model.path, &ours.path] {
        let path = std::fs::canonicalize(path).expect("a file");
        let mut rotten = bytes.clone();
        *rotten.last_mut().expect("a byte") ^= 1;
        std::fs::write(path, rotten).expect("rotten");
    }
    for name in ["lab/V-GGUF", url.as_str()] {
        let verification = verify(name, &settings, &Silent).expect("verified");
        assert!(!verification.is_good(), "{name}");
        assert_eq!(verification.files[0].expected, Some(sha256(&bytes)));
    }
    let loose = home.root().join("loose.gguf");
    std::fs::write(&loose, &bytes).expect("a file");
    let name = loose.to_str().expect("UTF-8");
    let verification = verify(name, &settings, &Silent).expect("verified");
    assert_eq!(verification.files[0].verdict, Verdict::Unknown);
    let model = ensure(name, &settings, &Silent).expect("a model");
    assert_eq!(model.sha256, Some(sha256(&bytes)), "known from now on");
    assert_eq!(
        hash(&model, &settings, &Silent).expect("a digest"),
        sha256(&bytes)
    );
}

#[test]
fn an_older_commit_is_listed_until_it_is_removed() {
    let hub = Hub::start();
    hub.publish("lab/C-GGUF", FIRST, &[("c-Q4_K_M.gguf", gguf("old"))]);
    let home = hub.home();
    let settings = home.settings();
    ensure("lab/C-GGUF", &settings, &Silent).expect("a model");
    hub.publish("lab/C-GGUF", SECOND, &[("c-Q4_K_M.gguf", gguf("new"))]);
    let newer = pull("lab/C-GGUF", &settings, &Silent).expect("a model");
    assert_eq!(list(&settings).expect("a list").len(), 2);
    remove("lab/C-GGUF", &settings, Force::Yes).expect("removed");
    assert!(!newer.path.exists());
    assert_eq!(list(&settings).expect("a list").len(), 1);
}

#[test]
fn a_file_put_into_our_folder_by_hand_goes_alone() {
    let (_home, settings) = scratch_home_settings();
    let models = settings.home.models();
    std::fs::create_dir_all(&models).expect("a folder");
    for name in ["mine.gguf", "other.gguf"] {
        std::fs::write(models.join(name), gguf(name)).expect("a file");
    }
    let path = models.join("mine.gguf");
    remove(path.to_str().expect("UTF-8"), &settings, Force::No).expect("removed");
    assert!(!path.exists() && models.join("other.gguf").is_file());
    // A path that only reads as if it lay in our folder.
    let outside = settings.home.root().join("outside.gguf");
    std::fs::write(&outside, gguf("outside")).expect("a file");
    let name = models.join("../outside.gguf");
    let error = remove(name.to_str().expect("UTF-8"), &settings, Force::Yes).expect_err("not ours");
    assert!(matches!(error, ModelError::NotOurs { .. }), "{error}");
    assert!(outside.is_file());
}
