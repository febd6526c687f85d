//! Models in several files.

use std::path::{Path, PathBuf};

use llamatelemetry_gguf::{
    GgmlType, GgufError, GgufWriter, ModelKind, SplitProblem, open_model, parse_split_name,
    split_name,
};

/// Writes the parts of a model: metadata in the first, one tensor in each other.
fn parts(folder: &Path, count: u16) -> Vec<PathBuf> {
    (0..count)
        .map(|number| part(folder, number, count, |_| {}))
        .collect()
}

fn part(folder: &Path, number: u16, count: u16, more: impl FnOnce(&mut GgufWriter)) -> PathBuf {
    let mut writer = GgufWriter::new();
    writer.set("split.no", number).expect("set");
    writer.set("split.count", count).expect("set");
    writer
        .set("split.tensors.count", i32::from(count) - 1)
        .expect("set");
    if number == 0 {
        writer.set("general.architecture", "llama").expect("set");
        writer.set("tokenizer.ggml.model", "llama").expect("set");
        writer.set("llama.block_count", 7_u32).expect("set");
    } else {
        let name = format!("blk.{number}.weight");
        writer
            .tensor(name, &[32], GgmlType::Q8_0, vec![1; 34])
            .expect("a tensor");
    }
    more(&mut writer);
    let path = folder.join(split_name("model", u32::from(number) + 1, count.into()));
    writer.write(&path).expect("written");
    path
}

fn problem(path: &Path) -> (SplitProblem, PathBuf) {
    match open_model(path).expect_err("the parts do not fit") {
        GgufError::Split { problem, path } => (problem, path),
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_part_opens_the_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = parts(folder.path(), 3);
    for path in &paths {
        let model = open_model(path).expect("it opens");
        assert!(model.paths().eq(&paths));
        let facts = model.facts().expect("facts");
        assert_eq!((facts.layers, facts.kind), (Some(7), ModelKind::Generative));
        assert_eq!(
            (facts.tensors, facts.parameters, facts.tensor_bytes),
            (2, 64, 68)
        );
        let names: Vec<_> = model
            .tensors()
            .map(|tensor| tensor.name().to_string())
            .collect();
        assert_eq!(names, ["blk.1.weight", "blk.2.weight"]);
        let lengths = paths
            .iter()
            .map(|path| path.metadata().expect("there").len());
        assert_eq!(model.file_length(), lengths.sum::<u64>());
    }
}

#[test]
fn a_file_of_its_own_is_one_part() {
    let folder = tempfile::tempdir().expect("a folder");
    // The name alone makes no part of it.
    let path = folder.path().join("model-00002-of-00003.gguf");
    std::fs::write(&path, llamatelemetry_gguf::proof_model()).expect("written");
    let model = open_model(&path).expect("it opens");
    assert_eq!(model.parts().len(), 1);
    assert_eq!(model.facts().expect("facts").parameters, 62_016);
}

#[test]
fn missing_and_misnamed_parts() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = parts(folder.path(), 3);
    std::fs::remove_file(&paths[1]).expect("removed");
    let missing = SplitProblem::Missing { part: 2, count: 3 };
    assert_eq!(problem(&paths[0]), (missing.clone(), paths[1].clone()));
    assert_eq!(problem(&paths[2]), (missing, paths[1].clone()));

    let renamed = folder.path().join("renamed.gguf");
    std::fs::rename(&paths[2], &renamed).expect("renamed");
    let name = SplitProblem::Name { part: 3, count: 3 };
    assert_eq!(problem(&renamed), (name, renamed.clone()));
    let error = open_model(&renamed).expect_err("misnamed");
    assert!(
        error
            .to_string()
            .starts_with("the name of part 3 of 3 must end in -00003-of-00003")
    );
}

#[test]
fn parts_that_do_not_belong_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = parts(folder.path(), 3);
    std::fs::copy(&paths[1], &paths[2]).expect("copied");
    let swapped = SplitProblem::Mismatch {
        key: "split.no",
        found: "1".into(),
        expected: 2,
    };
    assert_eq!(problem(&paths[0]), (swapped, paths[2].clone()));

    part(folder.path(), 2, 3, |writer| {
        writer
            .tensor("blk.1.weight", &[1], GgmlType::F32, vec![0; 4])
            .expect("a tensor");
    });
    let tensor = "blk.1.weight".to_owned();
    let twice = SplitProblem::DuplicateTensor {
        tensor,
        first: 2,
        second: 3,
    };
    assert_eq!(problem(&paths[0]), (twice, paths[2].clone()));

    part(folder.path(), 2, 3, |writer| {
        writer
            .tensor("one.more", &[1], GgmlType::F32, vec![0; 4])
            .expect("a tensor");
    });
    let count = SplitProblem::Mismatch {
        key: "split.tensors.count",
        found: "2".into(),
        expected: 3,
    };
    assert_eq!(problem(&paths[0]), (count, paths[0].clone()));

    let bytes = std::fs::read(&paths[2]).expect("read");
    std::fs::write(&paths[2], &bytes[..40]).expect("written");
    let error = open_model(&paths[0]).expect_err("a part is cut off");
    assert!(matches!(error, GgufError::Malformed { path: Some(path), .. } if path == paths[2]));
}

#[test]
fn the_number_of_parts_is_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model-00001-of-99999.gguf");
    let mut writer = GgufWriter::new();
    writer.set("split.no", 0_u16).expect("set");
    writer.set("split.count", 99_999_u32).expect("set");
    writer.write(&path).expect("written");
    let error = open_model(&path).expect_err("too many");
    assert!(matches!(error, GgufError::WrongType { .. }), "{error}");
}

#[test]
fn names_of_parts() {
    assert_eq!(split_name("a-b", 2, 10), "a-b-00002-of-00010.gguf");
    assert_eq!(
        parse_split_name("a-b-00002-of-00010.gguf"),
        Some(("a-b", 2, 10))
    );
    for name in [
        "a.gguf",
        "a-00000-of-00002.gguf",
        "a-00003-of-00002.gguf",
        "a-0001-of-0002.gguf",
        "a-00001-of-00002.bin",
        "a-+0001-of-00002.gguf",
        "00001-of-00002.gguf",
    ] {
        assert_eq!(parse_split_name(name), None, "{name}");
    }
}
