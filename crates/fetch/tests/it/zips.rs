//! Zip files that are good, and zip files made to do harm.

use crate::archives::{Case, refused};
use llamatelemetry_fetch::Limits;
use llamatelemetry_fetch::archive::check_zip;
use std::io::{Cursor, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use zip::write::SimpleFileOptions;

pub(crate) fn zip_with(entries: &[(&str, Option<u32>, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, mode, data) in entries {
        let mut options = SimpleFileOptions::default();
        if let Some(mode) = mode {
            options = options.unix_permissions(*mode);
        }
        zip.start_file(*name, options).unwrap();
        zip.write_all(data).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn a_good_zip() {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let plain = SimpleFileOptions::default();
    zip.add_directory("pkg/", plain).unwrap();
    zip.start_file("pkg/bin/tool", plain.unix_permissions(0o755))
        .unwrap();
    zip.write_all(b"tool").unwrap();
    zip.start_file("pkg/data", plain).unwrap();
    zip.write_all(b"data").unwrap();
    zip.add_symlink("pkg/link", "bin/tool", plain).unwrap();
    let bytes = zip.finish().unwrap().into_inner();
    assert_eq!(
        check_zip(Cursor::new(&bytes), &Limits::default()).unwrap(),
        4
    );
    let case = Case::new();
    let unpacked = case.unpack(&bytes).unwrap();
    assert_eq!((unpacked.files, unpacked.bytes, unpacked.links), (2, 8, 1));
    let tool = case.inside().join("pkg/link");
    assert_eq!(tool.metadata().unwrap().permissions().mode() & 0o111, 0o111);
}

#[test]
fn zips_made_to_do_harm() {
    refused(
        &zip_with(&[("good", None, b""), ("../out", None, b"")]),
        "leaves the folder",
    );
    refused(&zip_with(&[("/out", None, b"")]), "absolute");
    refused(&zip_with(&[("a\\b", None, b"")]), "backslash");
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.add_symlink("l", "/etc", SimpleFileOptions::default())
        .unwrap();
    refused(&zip.finish().unwrap().into_inner(), "links out");
    // A fifo, by its mode: the writer makes regular files only, so the directory is changed.
    let mut bytes = zip_with(&[("f", Some(0o644), b"")]);
    let at = bytes
        .windows(4)
        .position(|window| window == b"PK\x01\x02")
        .unwrap();
    bytes[at + 40..at + 42].copy_from_slice(&0o010_644_u16.to_le_bytes());
    refused(&bytes, "neither file, folder nor link");
    // The same name twice in the directory.
    let mut bytes = zip_with(&[("aa", None, b"1"), ("ab", None, b"2")]);
    let places: Vec<usize> = bytes
        .windows(2)
        .enumerate()
        .filter(|(_, name)| *name == b"ab")
        .map(|(at, _)| at)
        .collect();
    for at in places {
        bytes[at + 1] = b'a';
    }
    refused(&bytes, "a name occurs twice");
    // Wrong bytes under a right name.
    let mut bytes = zip_with(&[("x", None, &[65; 1000])]);
    let at = bytes
        .windows(4)
        .position(|window| window == b"PK\x01\x02")
        .unwrap();
    bytes[at + 16] ^= 1;
    refused(&bytes, "damaged");
}
