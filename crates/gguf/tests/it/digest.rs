//! A digest over everything decoded from a file: the benchmark and the tests compare it with the
//! one that `peer_gguf.py` takes of what the package `gguf` for Python decodes.
//!
//! Hashed are, in the file's order, for each key: the key, the number of the value's type, the
//! value; for each tensor: name, number of axes, axes, number of the type, elements, bytes, start in
//! the file, data. Integers are little-endian, lengths and counts 64-bit; a string is its length
//! and bytes, an array the number of its element type, its count and elements.

use llamatelemetry_gguf::{Array, Gguf, Tensor, Text, Value, ValueType};
use sha2::{Digest as _, Sha256};

/// Small pieces are gathered before they are hashed.
const GATHERED: usize = 64 * 1024;

/// A digest in the making.
#[derive(Default)]
pub(crate) struct Digest {
    gathered: Vec<u8>,
    hash: Sha256,
}

impl Digest {
    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        if self.gathered.len() + bytes.len() > GATHERED {
            self.hash.update(&self.gathered);
            self.gathered.clear();
            if bytes.len() > GATHERED {
                self.hash.update(bytes);
                return;
            }
        }
        self.gathered.extend_from_slice(bytes);
    }

    #[inline]
    fn text(&mut self, text: Text<'_>) {
        self.bytes(&(text.as_bytes().len() as u64).to_le_bytes());
        self.bytes(text.as_bytes());
    }

    fn array(&mut self, array: Array<'_>) {
        self.bytes(&array.element_type().number().to_le_bytes());
        self.bytes(&array.len().to_le_bytes());
        if let Some(texts) = array.texts() {
            texts.for_each(|text| self.text(text));
        } else {
            array.iter().for_each(|value| self.value(value));
        }
    }

    /// Adds a value.
    #[inline]
    pub(crate) fn value(&mut self, value: Value<'_>) {
        match value {
            Value::U8(value) => self.bytes(&value.to_le_bytes()),
            Value::I8(value) => self.bytes(&value.to_le_bytes()),
            Value::U16(value) => self.bytes(&value.to_le_bytes()),
            Value::I16(value) => self.bytes(&value.to_le_bytes()),
            Value::U32(value) => self.bytes(&value.to_le_bytes()),
            Value::I32(value) => self.bytes(&value.to_le_bytes()),
            Value::F32(value) => self.bytes(&value.to_le_bytes()),
            Value::Bool(value) => self.bytes(&[u8::from(value)]),
            Value::String(text) => self.text(text),
            Value::Array(array) => self.array(array),
            Value::U64(value) => self.bytes(&value.to_le_bytes()),
            Value::I64(value) => self.bytes(&value.to_le_bytes()),
            Value::F64(value) => self.bytes(&value.to_le_bytes()),
        }
    }

    /// Adds a key and its value.
    pub(crate) fn entry(&mut self, key: Text<'_>, value: Value<'_>) {
        self.text(key);
        self.bytes(&ValueType::number(value.value_type()).to_le_bytes());
        self.value(value);
    }

    /// Adds a tensor and its data.
    pub(crate) fn tensor(&mut self, tensor: &Tensor<'_>) {
        self.text(tensor.name());
        self.bytes(&(tensor.shape().len() as u64).to_le_bytes());
        for axis in tensor.shape() {
            self.bytes(&axis.to_le_bytes());
        }
        self.bytes(&tensor.ggml_type().0.to_le_bytes());
        self.bytes(&tensor.elements().to_le_bytes());
        self.bytes(&tensor.size().unwrap_or(0).to_le_bytes());
        self.bytes(&tensor.file_offset().to_le_bytes());
        self.bytes(tensor.data().unwrap_or_default());
    }

    /// The digest in hexadecimal.
    pub(crate) fn finish(mut self) -> String {
        self.hash.update(&self.gathered);
        hex(self.hash)
    }
}

/// A hash in hexadecimal.
pub(crate) fn hex(hash: Sha256) -> String {
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
    text
}

/// The digest over a whole file.
pub(crate) fn of_file(file: &Gguf) -> String {
    let mut digest = Digest::default();
    for (key, value) in file.metadata() {
        digest.entry(key, value);
    }
    for tensor in file.tensors() {
        digest.tensor(&tensor);
    }
    digest.finish()
}
