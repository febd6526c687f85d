//! Archives that are good, and archives made to do harm.

use crate::zips::zip_with;
use flate2::Compression;
use flate2::write::GzEncoder;
use llamatelemetry_fetch::archive::{check_tar_gz, check_zip};
use llamatelemetry_fetch::{FetchError, Limits, Unpacked, unpack};
use llamatelemetry_progress::Silent;
use std::io::{Cursor, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tar::{EntryType, Header};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

/// A `.tar.gz` made entry by entry, with names as bad as wanted.
struct Tar(tar::Builder<GzEncoder<Vec<u8>>>);

impl Tar {
    fn new() -> Self {
        Self(tar::Builder::new(GzEncoder::new(
            Vec::new(),
            Compression::best(),
        )))
    }

    fn entry(mut self, name: &str, kind: EntryType, link: &str, data: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        let raw = header.as_old_mut();
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(if name.ends_with("tool") {
            0o4755
        } else {
            0o600
        });
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.0.append(&header, data).unwrap();
        self
    }

    fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(name, EntryType::Regular, "", data)
    }

    fn link(self, name: &str, to: &str) -> Self {
        self.entry(name, EntryType::Symlink, to, b"")
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap().finish().unwrap()
    }
}

pub(crate) struct Case {
    folder: TempDir,
}

impl Case {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn inside(&self) -> PathBuf {
        self.folder.path().join("into")
    }

    fn unpack_with(&self, archive: &[u8], limits: &Limits) -> Result<Unpacked, FetchError> {
        let path = self.folder.path().join("archive");
        std::fs::write(&path, archive).unwrap();
        unpack(
            &path,
            &self.inside(),
            &|path| Some(path.to_path_buf()),
            limits,
            &Silent,
        )
    }

    pub(crate) fn unpack(&self, archive: &[u8]) -> Result<Unpacked, FetchError> {
        self.unpack_with(archive, &Limits::default())
    }

    /// Everything in the folder and around it, but for the archive.
    fn names(&self) -> Vec<String> {
        fn walk(folder: &Path, base: &Path, names: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let name = path.strip_prefix(base).unwrap().display().to_string();
                if path.symlink_metadata().unwrap().is_dir() {
                    walk(&path, base, names);
                }
                names.push(name);
            }
        }
        let mut names = Vec::new();
        walk(self.folder.path(), self.folder.path(), &mut names);
        names.retain(|name| name != "archive" && name != "into");
        names.sort();
        names
    }
}

/// The archive is refused for this reason, and nothing of it is left.
#[track_caller]
pub(crate) fn refused(archive: &[u8], reason: &str) {
    let case = Case::new();
    match case.unpack(archive) {
        Err(FetchError::Archive { reason: told, .. }) if told.contains(reason) => {}
        other => panic!("not refused with {reason:?}: {other:?}"),
    }
    assert_eq!(case.names(), Vec::<String>::new(), "{reason}");
}

#[test]
fn a_good_tar_keeps_files_links_and_executable_bits() {
    let long = format!("tree/{}/file", "n".repeat(120));
    let mut tar = Tar::new()
        .entry("./", EntryType::Directory, "", b"")
        .entry("tree/", EntryType::Directory, "", b"")
        .file("tree/bin/tool", b"#!/bin/sh\n")
        .file("tree/lib/libx.so.1.2", b"ELF")
        .link("tree/lib/libx.so.1", "libx.so.1.2")
        .link("tree/lib/libx.so", "libx.so.1")
        .link("tree/bin/up", "../lib/libx.so")
        .link("tree/lost", "not-there")
        .entry("tree/copy", EntryType::Link, "tree/lib/libx.so.1.2", b"");
    let mut header = Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    tar.0.append_data(&mut header, &long, &b"long"[..]).unwrap();
    let case = Case::new();
    let unpacked = case.unpack(&tar.bytes()).unwrap();
    assert_eq!(
        unpacked,
        Unpacked {
            files: 4,
            bytes: 10 + 3 + 3 + 4,
            links: 3,
            dangling: 1,
        }
    );
    let mode = |name| {
        std::fs::metadata(case.inside().join(name))
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(
        mode("tree/bin/tool") & 0o7111,
        0o111,
        "executable, but not set-user-id"
    );
    assert_eq!(mode("tree/lib/libx.so.1.2") & 0o111, 0);
    assert_eq!(
        std::fs::read(case.inside().join("tree/bin/up")).unwrap(),
        b"ELF"
    );
    assert_eq!(
        std::fs::read(case.inside().join("tree/copy")).unwrap(),
        b"ELF"
    );
    assert_eq!(std::fs::read(case.inside().join(long)).unwrap(), b"long");
    assert!(case.inside().join("tree/lost").symlink_metadata().is_err());
}

#[test]
fn only_what_is_selected_is_unpacked_and_where_it_is_wanted() {
    let tar = Tar::new()
        .file("pkg-1.0/setup.py", b"evil()")
        .file("pkg-1.0/src/a/b.c", b"int x;")
        .bytes();
    let case = Case::new();
    let path = case.folder.path().join("archive");
    std::fs::write(&path, tar).unwrap();
    let select = |path: &Path| path.strip_prefix("pkg-1.0/src").ok().map(Path::to_path_buf);
    let unpacked = unpack(&path, &case.inside(), &select, &Limits::default(), &Silent).unwrap();
    assert_eq!(unpacked.files, 1);
    assert_eq!(case.names(), ["into/a", "into/a/b.c"]);
    // A choice that leads outside is the caller's fault, and refused all the same.
    let select = |path: &Path| Some(Path::new("../out").join(path));
    let error = unpack(&path, &case.inside(), &select, &Limits::default(), &Silent).unwrap_err();
    assert!(matches!(error, FetchError::Archive { .. }), "{error}");
}

#[test]
fn names_that_leave_the_folder() {
    let one = |name: &str| Tar::new().file("good", b"x").file(name, b"x").bytes();
    refused(&one("../out"), "leaves the folder");
    refused(&one("a/../../out"), "leaves the folder");
    refused(&one("a/b/.."), "leaves the folder");
    refused(&one("/etc/out"), "absolute");
    refused(&one("a\\..\\out"), "backslash");
    refused(&one("a\nb"), "control character");
    let deep = vec!["d"; 70].join("/");
    let mut tar = Tar::new();
    let mut header = Header::new_gnu();
    header.set_size(0);
    tar.0.append_data(&mut header, &deep, &b""[..]).unwrap();
    refused(&tar.bytes(), "too deep");
}

#[test]
fn links_that_lead_outside() {
    refused(&Tar::new().link("l", "/etc").bytes(), "links out");
    refused(&Tar::new().link("l", "..").bytes(), "links out");
    refused(&Tar::new().link("a/l", "../../x").bytes(), "links out");
    refused(&Tar::new().link("a/l", "b/../../../x").bytes(), "links out");
    refused(&Tar::new().link("l", "").bytes(), "links");
    // Written through a link, in whatever order.
    refused(
        &Tar::new()
            .link("l", "real")
            .file("real/a", b"")
            .file("l/x", b"")
            .bytes(),
        "a folder of it is a link",
    );
    refused(
        &Tar::new().file("l/x", b"").link("l", "real").bytes(),
        "already there",
    );
    refused(&Tar::new().link("l", "a").file("l", b"").bytes(), "twice");
    // Two harmless links that together climb out: deep/er/top leads to the root.
    let climb = Tar::new()
        .file("deep/er/x", b"")
        .link("deep/er/top", "../..")
        .link("deep/er/out", "top/../secret")
        .bytes();
    refused(&climb, "links out");
    refused(
        &Tar::new().link("a", "b").link("b", "a").bytes(),
        "links nowhere",
    );
    let hard = |to| Tar::new().entry("h", EntryType::Link, to, b"").bytes();
    refused(&hard("/etc/passwd"), "absolute");
    refused(&hard("../x"), "leaves the folder");
    refused(&hard("x"), "not unpacked before it");
}

#[test]
fn things_that_are_no_files() {
    for kind in [
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::GNUSparse,
    ] {
        refused(
            &Tar::new().entry("d", kind, "", b"").bytes(),
            "neither file, folder nor link",
        );
    }
    refused(
        &Tar::new().file("a", b"1").file("a", b"2").bytes(),
        "already there",
    );
    refused(
        &Tar::new().file("a", b"1").file("./a", b"2").bytes(),
        "already there",
    );
    refused(
        &Tar::new().file("a", b"1").file("a/b", b"2").bytes(),
        "is a file",
    );
}

#[test]
fn extension_records_are_bounded_and_must_lead_to_an_entry() {
    let record = |kind, data: &[u8]| Tar::new().entry("r", kind, "", data);
    refused(
        &record(EntryType::GNULongName, &vec![b'a'; 70_000])
            .file("x", b"")
            .bytes(),
        "extension record",
    );
    refused(
        &record(EntryType::GNULongName, b"name").bytes(),
        "ends where an entry should follow",
    );
    refused(
        &record(EntryType::XHeader, b"13 size=1234\n")
            .file("x", b"")
            .bytes(),
        "second size",
    );
    refused(
        &record(EntryType::XHeader, b"22 GNU.sparse.size=12\n")
            .file("x", b"")
            .bytes(),
        "sparse",
    );
    refused(
        &record(EntryType::XHeader, b"20 path=../../outer\n")
            .file("x", b"")
            .bytes(),
        "leaves the folder",
    );
    refused(
        &record(EntryType::XHeader, b"99 nonsense\n")
            .file("x", b"")
            .bytes(),
        "damaged",
    );
    let case = Case::new();
    let good = record(EntryType::XHeader, b"16 path=a/named\n")
        .file("x", b"1")
        .entry(
            "pax_global_header",
            EntryType::XGlobalHeader,
            "",
            b"14 comment=ab\n",
        )
        .bytes();
    case.unpack(&good).unwrap();
    assert_eq!(case.names(), ["into/a", "into/a/named"]);
}

#[test]
fn bombs() {
    let case = Case::new();
    let many = (0..50).fold(Tar::new(), |tar, number| {
        tar.file(&format!("f{number}"), b"")
    });
    let limits = |entries, bytes, ratio| Limits {
        entries,
        bytes,
        ratio,
    };
    let few = limits(49, u64::MAX, u64::MAX);
    let error = case.unpack_with(&many.bytes(), &few).unwrap_err();
    assert!(
        error.to_string().contains("more than 49 entries"),
        "{error}"
    );
    // 40 MB of zeros in 40 kB.
    let zeros = Tar::new().file("z", &vec![0; 40_000_000]).bytes();
    let error = case.unpack(&zeros).unwrap_err();
    assert!(
        error.to_string().contains("swells more than 200 times"),
        "{error}"
    );
    let error = case
        .unpack_with(&zeros, &limits(9, 1_000_000, u64::MAX))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("unpacks to more than 1000000 bytes"),
        "{error}"
    );
    // Even where nothing of it is wanted.
    let path = case.folder.path().join("archive");
    let error = unpack(
        &path,
        &case.inside(),
        &|_| None,
        &Limits::default(),
        &Silent,
    )
    .unwrap_err();
    assert!(matches!(error, FetchError::Archive { .. }), "{error}");
    assert_eq!(case.names(), Vec::<String>::new());
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("z", SimpleFileOptions::default()).unwrap();
    zip.write_all(&vec![0; 40_000_000]).unwrap();
    let zip = zip.finish().unwrap().into_inner();
    let error = case.unpack(&zip).unwrap_err();
    assert!(
        error.to_string().contains("swells more than 200 times"),
        "{error}"
    );
}

#[test]
fn damaged_and_foreign_files() {
    let good = Tar::new()
        .file("a", &vec![7; 100_000])
        .file("b", &vec![8; 100_000])
        .bytes();
    for length in [3, 10, 50, good.len() / 2, good.len() - 5] {
        let case = Case::new();
        let error = case.unpack(&good[..length]).unwrap_err();
        assert!(
            matches!(error, FetchError::Archive { .. }),
            "{length}: {error}"
        );
        assert_eq!(case.names(), Vec::<String>::new());
    }
    refused(b"", "neither .tar.gz nor .zip");
    refused(b"GGUF and so on", "neither .tar.gz nor .zip");
    refused(b"PK\x03\x04 but no zip", "damaged");
    let mut wrong = good.clone();
    let middle = wrong.len() / 2;
    wrong[middle] ^= 0x55;
    refused(&wrong, "damaged");
}

#[test]
fn checking_writes_nothing_and_never_panics() {
    let good = Tar::new().file("a/tool", b"data").link("l", "a").bytes();
    assert_eq!(
        check_tar_gz(good.as_slice(), &Limits::default()).unwrap(),
        2
    );
    let zip = zip_with(&[("a", None, b"data"), ("b", None, b"data")]);
    let mut state = 1_u64;
    for _ in 0..2000 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mut change = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            for _ in 0..=(state >> 60) {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let at = usize::try_from(state >> 33).unwrap() % bytes.len();
                bytes[at] = state.to_le_bytes()[3];
            }
            bytes
        };
        // Any verdict is right as long as there is one.
        drop(check_tar_gz(change(&good).as_slice(), &Limits::default()));
        drop(check_zip(Cursor::new(change(&zip)), &Limits::default()));
    }
}

#[test]
fn a_second_archive_is_not_written_through_links_of_the_first() {
    let case = Case::new();
    let first = Tar::new().file("real/a", b"1").link("l", "real").bytes();
    case.unpack(&first).unwrap();
    let error = case
        .unpack(&Tar::new().file("l/x", b"2").bytes())
        .unwrap_err();
    assert!(error.to_string().contains("is a file or a link"), "{error}");
    let error = case
        .unpack(&Tar::new().file("real/a", b"2").bytes())
        .unwrap_err();
    assert!(error.to_string().contains("already there"), "{error}");
    assert_eq!(
        std::fs::read(case.inside().join("real/a")).unwrap(),
        b"1",
        "and it stays"
    );
}
