//! What is written is what is read.

use llamatelemetry_gguf::{
    Endianness, Finding, GgmlType, Gguf, GgufWriter, OwnedValue, Text, Value, ValueType,
};

use crate::files::{FORMS, every_type, every_value, nested, small};

#[test]
fn every_value_and_type_comes_back() {
    let types: Vec<_> = GgmlType::all().collect();
    for (version, endianness) in FORMS {
        let bytes = every_type(&types, version, endianness)
            .to_bytes()
            .expect("a file");
        let file = Gguf::from_bytes(bytes).expect("it opens");
        assert_eq!((file.version(), file.endianness()), (version, endianness));
        for (key, value) in every_value() {
            let read = OwnedValue::from(file.get(key).expect(key));
            // Through text, since NaN is not equal to itself.
            assert_eq!(format!("{read:?}"), format!("{value:?}"), "{key}");
        }
        assert_eq!(file.tensors().len(), types.len() * 5);
        for tensor in file.tensors() {
            let data = tensor.data().expect("data");
            assert_eq!(data.len() as u64, tensor.size().expect("a size"));
        }
        let report = file.check().expect("it decodes");
        let refused = report.refusals().count();
        let other = usize::from(version == 1) + usize::from(endianness == Endianness::Big);
        assert_eq!(refused, other, "{:?}", report.notes);
    }
}

#[test]
fn a_copy_of_what_was_read_is_the_same_file() {
    for (version, endianness) in FORMS {
        let bytes = small(version, endianness);
        let file = Gguf::from_bytes(bytes.clone()).expect("it opens");
        assert_eq!(copy(&file), bytes);
    }
}

/// Writes a file again from what was read of it.
pub(crate) fn copy(file: &Gguf) -> Vec<u8> {
    let mut writer = GgufWriter::new();
    writer
        .version(file.version())
        .expect("a version")
        .endianness(file.endianness());
    for (key, value) in file.metadata() {
        writer
            .set(key.as_bytes(), OwnedValue::from(value))
            .expect("a value");
    }
    for tensor in file.tensors() {
        let data = tensor.data().unwrap_or_default();
        let name = tensor.name().as_bytes();
        writer
            .tensor(name, tensor.shape(), tensor.ggml_type(), data)
            .expect("a tensor");
    }
    writer.to_bytes().expect("a file")
}

#[test]
fn the_file_written_is_the_file_in_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.gguf");
    let types: Vec<_> = GgmlType::all().collect();
    let writer = every_type(&types, 3, Endianness::Little);
    writer.write(&path).expect("written");
    assert_eq!(
        std::fs::read(&path).expect("read"),
        writer.to_bytes().expect("a file")
    );
    let mut file = Gguf::open(&path).expect("it opens");
    assert_eq!(file.path(), Some(path.as_path()));
    assert_eq!(file.changed_length().expect("it is there"), None);

    // Appending is safe for an open mapping, truncating would not be.
    let mut longer = std::fs::File::options()
        .append(true)
        .open(&path)
        .expect("open");
    std::io::Write::write_all(&mut longer, b"more").expect("append");
    assert_eq!(
        file.changed_length().expect("it is there"),
        Some(file.file_length() + 4)
    );
    file = Gguf::open(&path).expect("bytes after the last tensor are nobody's");
    assert_eq!(file.changed_length().expect("it is there"), None);
}

#[test]
fn nested_arrays_are_read_lazily() {
    let file = Gguf::from_bytes(small(3, Endianness::Little)).expect("it opens");
    let value = file.get("nested").expect("there");
    assert_eq!(OwnedValue::from(value), nested());
    let outer = value.as_array().expect("an array");
    assert_eq!((outer.len(), outer.element_type()), (2, ValueType::Array));
    let inner = outer
        .get(0)
        .and_then(|value| value.as_array())
        .expect("an array");
    let texts = inner
        .get(1)
        .and_then(|value| value.as_array())
        .expect("an array");
    let texts: Vec<_> = texts.texts().expect("texts").collect();
    assert_eq!(texts, [Text(b"a"), Text(b"bc")]);
    assert!(
        outer
            .get(1)
            .and_then(|value| value.as_array())
            .expect("an array")
            .is_empty()
    );
    assert_eq!(outer.get(2), None);
    let numbers = file
        .get("numbers")
        .and_then(|value| value.as_array())
        .expect("an array");
    assert_eq!(
        (numbers.get(2), numbers.get(3)),
        (Some(Value::U16(3)), None)
    );
    let report = file.check().expect("it decodes");
    assert!(matches!(
        report.notes[0].finding,
        Finding::NestedArray { .. }
    ));
    // Outer, inner, four texts: the empty array holds none.
    assert_eq!(report.numbers, 5);
}

#[test]
fn text_that_is_not_utf8_is_kept() {
    let mut writer = GgufWriter::new();
    let broken = vec![b'a', 0xFF, b'b'];
    writer
        .set("text", OwnedValue::String(broken.clone()))
        .expect("set");
    let items = vec![
        OwnedValue::from("fine"),
        OwnedValue::String(vec![0xE4, 0xB8]),
    ];
    let tokens = OwnedValue::Array {
        element: ValueType::String,
        items,
    };
    writer.set("tokenizer.ggml.tokens", tokens).expect("set");
    writer.set(vec![0xC3], 1_u8).expect("set");
    let file = Gguf::from_bytes(writer.to_bytes().expect("a file")).expect("it opens");
    let text = file
        .get("text")
        .and_then(|value| value.as_text())
        .expect("text");
    assert_eq!(text.as_bytes(), broken);
    assert_eq!(text.lossy(), "a\u{FFFD}b");
    assert!(text.to_str().is_err());
    let report = file.check().expect("it decodes");
    let places: Vec<_> = report.notes.iter().map(|note| note.offset).collect();
    let value = |key| file.value_offset(key).expect("there");
    // The second token lies behind the array's header and the first token.
    let token = value("tokenizer.ggml.tokens") + 12 + 8 + 4;
    assert_eq!(places.len(), 3);
    assert_eq!(places[..2], [value("text"), token]);
    assert_eq!(report.refusals().count(), 0);
}

#[test]
fn unknown_tensor_types_are_tolerated() {
    let mut writer = GgufWriter::new();
    writer
        .tensor("new", &[10], GgmlType(1000), vec![7; 40])
        .expect("a tensor");
    writer
        .tensor("old", &[32], GgmlType(31), vec![7; 18])
        .expect("a tensor");
    writer
        .tensor("known", &[2], GgmlType::F32, vec![7; 8])
        .expect("a tensor");
    let file = Gguf::from_bytes(writer.to_bytes().expect("a file")).expect("it opens");
    let new = file.tensor("new").expect("there");
    assert_eq!((new.elements(), new.size(), new.data()), (10, None, None));
    assert_eq!(
        file.tensor("known").and_then(|tensor| tensor.data()),
        Some(&[7; 8][..])
    );
    let report = file.check().expect("it decodes");
    assert_eq!(report.refusals().count(), 2);
    let said = report.notes[1].finding.to_string();
    assert_eq!(
        said,
        "tensor old is of Q4_0_4_4 (removed), which cannot be loaded"
    );
}

#[test]
fn what_llama_cpp_refuses_is_noted() {
    let mut writer = GgufWriter::new();
    writer
        .set("tokenizer.ggml.tokens", vec!["a", "b"])
        .expect("set");
    writer
        .set("tokenizer.ggml.scores", vec![0.0_f32])
        .expect("set");
    writer
        .set("tokenizer.ggml.eos_token_id", 2_u32)
        .expect("set");
    writer
        .tensor("x".repeat(64), &[1], GgmlType::F32, vec![0; 4])
        .expect("a tensor");
    writer
        .tensor("gap", &[1], GgmlType::F32, vec![0; 4])
        .expect("a tensor");
    let mut bytes = writer.to_bytes().expect("a file");
    // The last offset before the data: the second tensor starts one alignment later.
    let offset = bytes
        .windows(3)
        .rposition(|window| window == b"gap")
        .expect("there")
        + 3
        + 16;
    bytes[offset..offset + 8].copy_from_slice(&64_u64.to_le_bytes());
    bytes.extend([0; 32]);
    let file = Gguf::from_bytes(bytes).expect("it opens");
    let report = file.check().expect("it decodes");
    let findings: Vec<_> = report.notes.iter().map(|note| &note.finding).collect();
    assert!(matches!(
        findings[0],
        Finding::ListLength {
            found: 1,
            tokens: 2,
            ..
        }
    ));
    assert!(matches!(
        findings[1],
        Finding::TokenOutside {
            token: 2,
            tokens: 2,
            ..
        }
    ));
    assert!(matches!(findings[2], Finding::LongName { .. }));
    assert!(matches!(
        findings[3],
        Finding::Gap {
            start: 64,
            expected: 32,
            ..
        }
    ));
    assert_eq!(report.refusals().count(), 2);
}

#[test]
fn the_writer_refuses_what_no_reader_would_take() {
    let mut writer = GgufWriter::new();
    let mixed = OwnedValue::Array {
        element: ValueType::U8,
        items: vec![OwnedValue::U8(1), OwnedValue::I8(1)],
    };
    assert!(writer.set("", 1_u8).is_err());
    assert!(writer.set("mixed", mixed).is_err());
    assert!(writer.set("general.alignment", 24_u32).is_err());
    assert!(writer.set("general.alignment", 32_u64).is_err());
    assert!(writer.set("key", 1_u8).is_ok());
    assert!(writer.set("key", 1_u8).is_err());
    assert!(writer.version(4).is_err());
    assert!(
        writer
            .tensor("t", &[1; 5], GgmlType::F32, vec![0; 4])
            .is_err()
    );
    assert!(
        writer
            .tensor("t", &[33], GgmlType::Q8_0, vec![0; 34])
            .is_err()
    );
    assert!(writer.tensor("t", &[1], GgmlType::F32, vec![0; 5]).is_err());
    assert!(
        writer
            .tensor("t", &[u64::MAX, 2], GgmlType::I8, vec![])
            .is_err()
    );
    assert!(writer.tensor("t", &[1], GgmlType::F32, vec![0; 4]).is_ok());
    let refused = writer
        .tensor("t", &[1], GgmlType::F32, vec![0; 4])
        .expect_err("twice");
    assert_eq!(
        refused.to_string(),
        "cannot write t: a tensor of this name is there already"
    );
}
