//! The package `gguf` for Python reads the same from every file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use llamatelemetry_gguf::{Endianness, GgmlType, Gguf, Value, proof_model};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use crate::digest::{Digest, hex, of_file};
use crate::files::{every_type, nested};
use crate::place;

/// What this crate reads from a file, in the form of `peer_gguf.py --fields`.
fn ours(path: &Path) -> Json {
    let file = Gguf::open(path).expect("it opens");
    let report = file.check().expect("it decodes");
    let fields: Vec<_> = file
        .metadata()
        .map(|(key, value)| {
            let mut digest = Digest::default();
            digest.entry(key, value);
            json!([key.to_str().expect("UTF-8"), types(&value), digest.finish()])
        })
        .collect();
    let tensors: Vec<_> = file
        .tensors()
        .map(|tensor| {
            let mut digest = Digest::default();
            digest.tensor(&tensor);
            json!([
                tensor.name().to_str().expect("UTF-8"),
                tensor.shape(),
                tensor.ggml_type().name(),
                tensor.elements(),
                tensor.size(),
                tensor.file_offset(),
                digest.finish(),
            ])
        })
        .collect();
    json!({
        "package": "gguf",
        "version": file.version(),
        "alignment": file.alignment(),
        "data_offset": file.data_offset(),
        "keys": report.keys,
        "tensors": report.tensors,
        "digest": of_file(&file),
        "fields": fields,
        "tensor_list": tensors,
    })
}

/// The types as the package lists them: that of the value, then those of its first element.
fn types(value: &Value<'_>) -> Vec<&'static str> {
    let name = match value {
        Value::U8(_) => "UINT8",
        Value::I8(_) => "INT8",
        Value::U16(_) => "UINT16",
        Value::I16(_) => "INT16",
        Value::U32(_) => "UINT32",
        Value::I32(_) => "INT32",
        Value::F32(_) => "FLOAT32",
        Value::Bool(_) => "BOOL",
        Value::String(_) => "STRING",
        Value::Array(_) => "ARRAY",
        Value::U64(_) => "UINT64",
        Value::I64(_) => "INT64",
        Value::F64(_) => "FLOAT64",
    };
    let first = value.as_array().and_then(|array| array.get(0));
    std::iter::once(name)
        .chain(first.iter().flat_map(types))
        .collect()
}

/// Runs the peer and reads what it prints. The package of llama.cpp's own tree is preferred: it
/// knows all types of that build.
fn peer(python: &Path, arguments: &[&str]) -> Json {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peer_gguf.py");
    let mut command = Command::new(python);
    command
        .arg(script)
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    if let Some(source) = place::llama_source() {
        command.env("PYTHONPATH", source.join("gguf-py"));
    }
    let output = command.output().expect("Python runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// What the peer says about a file of llama.cpp's tree. It takes seconds for each and never
/// changes, so it is kept for the next time: by file, script and package.
fn remembered(python: &Path, source: &Path, path: &Path) -> Json {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peer_gguf.py");
    let package = source.join("gguf-py/gguf");
    let decides = [
        path,
        &script,
        &package.join("gguf_reader.py"),
        &package.join("constants.py"),
    ];
    let mut hash = Sha256::new();
    for part in decides {
        hash.update(std::fs::read(part).expect("it can be read"));
    }
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("peer-{}", hex(hash)));
    // Half a document, of a run that was ended, is not one.
    let remembered = std::fs::read(&kept)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
    remembered.unwrap_or_else(|| {
        let said = fields(python, path);
        std::fs::write(&kept, said.to_string()).expect("it can be kept");
        said
    })
}

fn fields(python: &Path, path: &Path) -> Json {
    peer(python, &["--fields", path.to_str().expect("UTF-8")])
}

fn assert_same(path: &Path, theirs: &Json) {
    let ours = ours(path);
    // One by one first, since a difference is then short to print.
    for list in ["fields", "tensor_list"] {
        let (ours, theirs) = (ours[list].as_array(), theirs[list].as_array());
        let pairs = ours.into_iter().flatten().zip(theirs.into_iter().flatten());
        for (ours, theirs) in pairs {
            assert_eq!(ours, theirs, "{}", path.display());
        }
    }
    assert_eq!(&ours, theirs, "{}", path.display());
}

#[test]
fn generated_files_of_every_type() {
    let Some(python) = place::python() else {
        return place::skip("LLAMATELEMETRY_TEST_PYTHON names no Python with the package gguf");
    };
    let known = peer(&python, &["--types"]);
    let known: BTreeMap<u32, (u32, u32)> = serde_json::from_value(known).expect("block sizes");
    let (types, differing): (Vec<_>, Vec<_>) = GgmlType::all().partition(|ggml_type| {
        let block = ggml_type.block().expect("a known type");
        known.get(&ggml_type.0) == Some(&(block.elements, block.bytes))
    });
    if !differing.is_empty() {
        // Other releases of the package lack types or have other sizes; that of the tree must not.
        assert!(place::llama_source().is_none(), "{differing:?}");
        place::skip(&format!(
            "the package gguf disagrees on {differing:?}; the others are tested"
        ));
    }
    assert!(
        known
            .keys()
            .all(|&number| GgmlType(number).block().is_some()),
        "{known:?}"
    );
    let folder = tempfile::tempdir().expect("a folder");
    // The package reads versions 2 and 3, of either byte order.
    for (version, endianness) in [
        (2, Endianness::Little),
        (3, Endianness::Little),
        (3, Endianness::Big),
    ] {
        let path = folder.path().join(format!("{version}-{endianness:?}.gguf"));
        let mut writer = every_type(&types, version, endianness);
        writer.set("general.alignment", 64_u32).expect("set");
        writer.set("nested", nested()).expect("set");
        writer.write(&path).expect("written");
        assert_same(&path, &fields(&python, &path));
    }
    let path = folder.path().join("proof.gguf");
    std::fs::write(&path, proof_model()).expect("written");
    assert_same(&path, &fields(&python, &path));
}

/// The package takes seconds for a file: in four tests, so that no one of them takes long.
mod the_vocabularies_of_llama_cpp {
    #[test]
    fn first_quarter() {
        super::vocabularies(0);
    }

    #[test]
    fn second_quarter() {
        super::vocabularies(1);
    }

    #[test]
    fn third_quarter() {
        super::vocabularies(2);
    }

    #[test]
    fn last_quarter() {
        super::vocabularies(3);
    }
}

/// Every fourth vocabulary of llama.cpp's tree from this one on.
fn vocabularies(first: usize) {
    let Some(python) = place::python() else {
        return place::skip("LLAMATELEMETRY_TEST_PYTHON names no Python with the package gguf");
    };
    let Some(source) = place::llama_source() else {
        return place::skip("LLAMATELEMETRY_TEST_LLAMA_SOURCE names no source tree of llama.cpp");
    };
    let files = std::fs::read_dir(source.join("models")).expect("the folder of vocabularies");
    let mut files: Vec<PathBuf> = files.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "gguf")
    });
    files.sort();
    assert!(files.len() >= 19, "{files:?}");
    for path in files.iter().skip(first).step_by(4) {
        assert_same_vocabulary(path, &remembered(&python, &source, path));
    }
}

fn assert_same_vocabulary(path: &Path, theirs: &Json) {
    assert_same(path, theirs);
    let facts = Gguf::open(path).expect("it opens").facts().expect("facts");
    assert_eq!(
        facts.kind,
        llamatelemetry_gguf::ModelKind::Vocabulary,
        "{}",
        path.display()
    );
}

#[test]
fn a_real_model() {
    let Some(python) = place::python() else {
        return place::skip("LLAMATELEMETRY_TEST_PYTHON names no Python with the package gguf");
    };
    let Some(model) = place::model() else {
        return place::skip("LLAMATELEMETRY_TEST_MODEL names no model");
    };
    assert_same(&model, &fields(&python, &model));
    let facts = Gguf::open(&model)
        .expect("it opens")
        .facts()
        .expect("facts");
    assert_eq!(facts.kind, llamatelemetry_gguf::ModelKind::Generative);
    assert!(facts.parameters > 0 && facts.layers.is_some() && facts.vocabulary.is_some());
}
