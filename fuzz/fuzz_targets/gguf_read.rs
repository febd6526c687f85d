//! Any bytes are read as a GGUF file or refused; nothing in a file that opens makes a call fail that
//! must not, panic, or ask for memory that the file is not worth.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use llamatelemetry_gguf::{Gguf, GgufError, Value};

fuzz_target!(|bytes: &[u8]| -> Corpus { read(bytes) });

fn read(bytes: &[u8]) -> Corpus {
    let file = match Gguf::from_bytes(bytes.to_vec()) {
        Ok(file) => file,
        Err(error) => {
            assert!(matches!(error, GgufError::Malformed { .. }), "{error:?}");
            assert!(!error.to_string().is_empty() && !error.hints().is_empty());
            // What has not even the magic number leads nowhere.
            return if bytes.starts_with(b"GGUF") {
                Corpus::Keep
            } else {
                Corpus::Reject
            };
        }
    };
    for (key, value) in file.metadata() {
        if let Ok(key) = key.to_str() {
            assert_eq!(
                file.get(key).map(|value| value.value_type()),
                Some(value.value_type())
            );
        }
        touch(value, &mut 10_000);
    }
    for tensor in file.tensors() {
        assert_eq!(tensor.data().map(|data| data.len() as u64), tensor.size());
    }
    let report = file.check().expect("what opens can be decoded");
    assert_eq!(report.keys, file.metadata().len() as u64);
    assert!(report.strings >= report.keys);
    if let Err(error) = file.facts() {
        assert!(!matches!(error, GgufError::Malformed { .. }), "{error:?}");
    }
    Corpus::Keep
}

/// Decodes a value down to its leaves, as far as `left` goes: elements of one byte are many.
fn touch(value: Value<'_>, left: &mut u32) {
    let Value::Array(array) = value else { return };
    for element in array {
        let Some(fewer) = left.checked_sub(1) else {
            return;
        };
        *left = fewer;
        touch(element, left);
    }
}
