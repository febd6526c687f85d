//! The pinned release, from a copy of its interface.

use crate::place::{attempts, bare_home, server, settings, verdict};
use flate2::{Compression, write::GzEncoder};
use llamatelemetry_machine::Machine;
use llamatelemetry_progress::Silent;
use llamatelemetry_runtime::{
    InstallOptions, RuntimeError, Source, Step, Tool, Verdict, bootstrap, explain, install, list,
    remove, tool,
};
use llamatelemetry_settings::Settings;
use llamatelemetry_testbed::{self as testbed, FileServer, ScratchHome, Served};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const PATH: &str = "/repos/ggml-org/llama.cpp/releases/tags/b11434";

/// The archive for this machine's processor, if the release has one.
fn archive_name() -> Option<&'static str> {
    let machine = Machine::probe();
    match (machine.os.as_str(), machine.arch.as_str()) {
        ("linux", "x86_64") if machine.glibc_version() >= Some((2, 35)) => {
            Some("llama-b11434-bin-ubuntu-x64.tar.gz")
        }
        ("linux", "aarch64") if machine.glibc_version() >= Some((2, 39)) => {
            Some("llama-b11434-bin-ubuntu-arm64.tar.gz")
        }
        _ => None,
    }
}

/// A release interface with one archive.
struct Copy {
    interface: FileServer,
    name: &'static str,
    home: ScratchHome,
}

impl Copy {
    fn of(entries: &[(&str, &[u8])]) -> Option<Self> {
        let Some(name) = archive_name() else {
            testbed::skip("the release has no archive for this machine");
            return None;
        };
        let this = Self {
            interface: FileServer::start().unwrap(),
            name,
            home: bare_home(),
        };
        let archive = tar_gz(entries);
        let digest = format!("sha256:{}", hex(&Sha256::digest(&archive)));
        this.document(&this.listed(archive.len(), json!(digest)));
        this.interface
            .put(&format!("/files/{name}"), Served::new(archive));
        Some(this)
    }

    fn listed(&self, size: usize, digest: Value) -> Value {
        let mut listed = json!({
            "name": self.name,
            "size": size,
            "browser_download_url": self.interface.url(&format!("/files/{}", self.name)),
        });
        listed["digest"] = digest;
        listed
    }

    fn document(&self, listed: &Value) {
        let document = json!({ "tag_name": "b11434", "prerelease": true, "assets": [listed] });
        self.serve(&document);
    }

    fn serve(&self, document: &Value) {
        let bytes = document.to_string().into_bytes();
        self.interface.put(PATH, Served::new(bytes));
    }

    fn settings(&self) -> Settings {
        let mut settings = settings(&self.home);
        settings.network.mirrors.releases = Some(self.interface.url("/"));
        settings
    }

    /// Why the release is refused.
    fn refused(&self) -> String {
        let options = InstallOptions {
            only: Some(Step::Release),
        };
        let settings = self.settings();
        let error = install(&settings, options, &Silent).unwrap_err();
        let (verdict, reason) = verdict(attempts(&error), Step::Release);
        assert_eq!(verdict, Verdict::Refused);
        assert_eq!(list(&settings).unwrap().len(), 0);
        // Nor is what was unpacked to be tried.
        let left: Vec<_> = std::fs::read_dir(settings.home.runtimes())
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(left.is_empty(), "{left:?}");
        reason.to_owned()
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Names are written as they are, also those that no honest packer would write.
fn tar_gz(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        let field = &mut header.as_old_mut().name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        header.set_cksum();
        archive.append(&header, *bytes).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

#[test]
fn the_archive_for_this_machine_is_fetched_checked_proved_and_kept() {
    let bytes = std::fs::read(server()).unwrap();
    let Some(copy) = Copy::of(&[
        ("llama-b11434/llama-server", &bytes),
        ("llama-b11434/llama-quantize", b"#!/bin/sh\n"),
        ("llama-b11434/LICENSE", b"MIT"),
    ]) else {
        return;
    };
    let settings = copy.settings();

    let explanation = explain(&settings, &Silent);
    let (judged, reason) = verdict(&explanation.attempts, Step::Release);
    assert_eq!(judged, Verdict::Possible, "{reason}");
    assert!(explanation.chosen.is_none());

    let runtime = bootstrap(&settings, &Silent).unwrap();
    let Source::Release {
        tag,
        archive,
        sha256,
    } = &runtime.source
    else {
        panic!("{:?}", runtime.source);
    };
    assert_eq!((tag.as_str(), archive.as_str()), ("b11434", copy.name));
    assert_eq!(sha256.len(), 64);
    assert!(runtime.server.starts_with(settings.home.runtimes()));
    assert!(runtime.identity.starts_with("b11434-cpu-"));

    // What lies beside the server in the archive is a companion tool.
    let quantize = tool(&settings, &runtime, Tool::Quantize, &Silent).unwrap();
    assert_eq!(
        quantize,
        runtime.server.parent().unwrap().join("llama-quantize")
    );

    // Found again in the store without asking anybody, also when the lock file is gone.
    std::fs::remove_file(settings.home.root().join("runtime.lock.json")).unwrap();
    copy.interface.forget();
    let again = bootstrap(&settings, &Silent).unwrap();
    assert_eq!(again, runtime);
    assert!(copy.interface.seen().is_empty());

    let listed = list(&settings).unwrap();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].current);
    assert!(listed[0].size > bytes.len() as u64);

    let removed = remove(&settings, "b11434-cpu").unwrap();
    assert_eq!(removed.runtime.identity, runtime.identity);
    assert!(!runtime.server.exists());
    assert!(list(&settings).unwrap().is_empty());
    assert!(matches!(
        remove(&settings, "b11434-cpu"),
        Err(RuntimeError::Unknown { .. })
    ));
}

#[test]
fn of_several_that_want_it_one_fetches() {
    let bytes = std::fs::read(server()).unwrap();
    let Some(copy) = Copy::of(&[("llama-b11434/llama-server", &bytes)]) else {
        return;
    };
    let settings = copy.settings();
    let runtimes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|number| {
                std::thread::Builder::new()
                    .name(format!("wants-{number}"))
                    .spawn_scoped(scope, || bootstrap(&settings, &Silent).unwrap())
                    .unwrap()
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(runtimes.windows(2).all(|pair| pair[0] == pair[1]));
    let asked = copy.interface.seen();
    let documents = asked.iter().filter(|seen| seen.path == PATH).count();
    assert_eq!(documents, 1, "the others waited for the first");
}

#[test]
fn an_archive_with_other_bytes_is_refused() {
    let Some(copy) = Copy::of(&[("llama-b11434/llama-server", b"x")]) else {
        return;
    };
    let size = tar_gz(&[("llama-b11434/llama-server", b"x")]).len();
    let wrong = format!("sha256:{}", "0".repeat(64));
    copy.document(&copy.listed(size, json!(wrong)));
    let reason = copy.refused();
    assert!(reason.contains("the SHA-256 is"), "{reason}");
    let left: Vec<_> = std::fs::read_dir(copy.home.home().downloads())
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name() == copy.name)
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_archive_that_leads_elsewhere_is_refused() {
    for name in ["llama-b11434/../../../evil", "/evil"] {
        let Some(copy) = Copy::of(&[("llama-b11434/llama-server", b"x"), (name, b"evil")]) else {
            return;
        };
        let reason = copy.refused();
        assert!(reason.contains("the archive was refused"), "{reason}");
        assert!(!copy.home.root().join("evil").exists());
    }
}

#[test]
fn an_archive_without_a_server_is_refused() {
    let Some(copy) = Copy::of(&[("llama-b11434/README.md", b"hello")]) else {
        return;
    };
    assert!(copy.refused().contains("the archive holds no llama-server"));
}

#[test]
fn a_server_that_does_not_run_here_is_refused() {
    let Some(copy) = Copy::of(&[("llama-b11434/llama-server", b"#!/bin/sh\nkill -ILL $$\n")])
    else {
        return;
    };
    assert!(copy.refused().contains("SIGILL"));
}

#[test]
fn an_interface_that_says_something_else_is_refused() {
    let Some(copy) = Copy::of(&[("llama-b11434/llama-server", b"x")]) else {
        return;
    };
    copy.document(&copy.listed(1, Value::Null));
    let reason = copy.refused();
    assert!(reason.contains("it tells no SHA-256 of"), "{reason}");

    copy.document(&copy.listed(1, json!("md5:abc")));
    assert!(copy.refused().contains("it tells no SHA-256 of"));

    let listed = copy.listed(1, Value::Null);
    copy.serve(&json!({ "tag_name": "v0.6.0", "assets": [listed] }));
    let reason = copy.refused();
    assert!(reason.contains("release v0.6.0 where b11434"), "{reason}");

    // What the release that is called latest looks like.
    copy.serve(&json!({ "tag_name": "b11434", "assets": [] }));
    assert!(copy.refused().contains("the release has no llama-b11434"));

    copy.serve(&json!("hello"));
    assert!(copy.refused().contains("no release document"));

    copy.interface.put(
        PATH,
        Served::new(Vec::new()).with(testbed::Faults {
            statuses: vec![404; 8],
            ..testbed::Faults::default()
        }),
    );
    let reason = copy.refused();
    assert!(reason.contains("it knows no release b11434"), "{reason}");
}

#[test]
fn another_build_in_the_store_is_better_than_none() {
    let older = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'version: 0.5.0 (build 10000, commit old)' && exit\n\
         exec '{}' \"$@\"\n",
        server().display()
    );
    let Some(copy) = Copy::of(&[("llama-b11434/llama-server", older.as_bytes())]) else {
        return;
    };
    let mut settings = copy.settings();
    let options = InstallOptions {
        only: Some(Step::Release),
    };
    let made = install(&settings, options, &Silent).unwrap();
    assert_eq!(made.build.number, Some(10000));

    settings.network.offline = true;
    let explanation = explain(&settings, &Silent);
    let (_, reason) = verdict(&explanation.attempts, Step::Store);
    assert!(reason.contains("b11434 is wanted"), "{reason}");
    assert_eq!(
        install(&settings, InstallOptions::default(), &Silent).unwrap(),
        made
    );
}
