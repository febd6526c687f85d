//! Opening is lazy: it asks for no memory for what it leaves in the file.

use llamatelemetry_gguf::{Gguf, GgufWriter};

use crate::allocation::largest;

#[test]
fn opening_and_checking_copy_nothing() {
    let mut writer = GgufWriter::new();
    let tokens: Vec<String> = (0..50_000)
        .map(|number| format!("token {number}"))
        .collect();
    writer.set("tokenizer.ggml.tokens", tokens).expect("set");
    writer
        .set("tokenizer.ggml.scores", vec![0.5_f32; 50_000])
        .expect("set");
    let bytes = writer.to_bytes().expect("a file");
    assert!(bytes.len() > 1 << 20);
    let (size, file) = largest(|| Gguf::from_bytes(bytes).expect("it opens"));
    assert!(size <= 128 * 1024, "{size} bytes at once");
    let (size, report) = largest(|| file.check().expect("it decodes"));
    assert!(size <= 16 * 1024, "{size} bytes at once");
    assert_eq!((report.strings, report.numbers), (50_002, 50_000));
}

#[test]
fn notes_are_bounded() {
    let mut writer = GgufWriter::new();
    let broken = llamatelemetry_gguf::OwnedValue::String(vec![0xFF]);
    let items = vec![broken; 5000];
    let element = llamatelemetry_gguf::ValueType::String;
    let texts = llamatelemetry_gguf::OwnedValue::Array { element, items };
    writer.set("texts", texts).expect("set");
    let file = Gguf::from_bytes(writer.to_bytes().expect("a file")).expect("it opens");
    let report = file.check().expect("it decodes");
    assert_eq!((report.notes.len(), report.notes_left_out), (100, 4900));
}
