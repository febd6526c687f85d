//! Decoding everything that opening a file leaves alone.

use crate::GgufError;
use crate::array::{Array, Texts};
use crate::cursor::{Cursor, Endianness};
use crate::reader::{Gguf, Tensor};
use crate::report::{CheckReport, Finding, LONGEST_NAME, Note};
use crate::utf8::{self, LANES};
use crate::value::{Text, Value, ValueType};

/// Notes kept; a vocabulary of broken tokens shall not fill the memory.
const NOTES_KEPT: usize = 100;

/// Texts of an array that are checked at once.
const RUN: usize = 256;

impl Gguf {
    /// Decodes every string, number and tensor description of the file and reports what is odd.
    ///
    /// # Errors
    /// Opening has found everything that cannot be read; this fails only where the file was
    /// changed since.
    pub fn check(&self) -> Result<CheckReport, GgufError> {
        let mut check = Check {
            file: self,
            report: CheckReport::default(),
        };
        check.header();
        check.metadata().map_err(|error| self.in_this_file(error))?;
        check.vocabulary();
        check.tensors();
        Ok(check.report)
    }
}

/// Some texts of an array, one after the other.
struct Run<'a> {
    /// The texts with their lengths, as they lie in the file.
    bytes: &'a [u8],
    /// Where they start, from the first text of the array.
    start: usize,
    texts: u64,
    text_bytes: u64,
    /// The length of the longest.
    longest: u64,
}

impl<'a> Run<'a> {
    /// Takes the next texts of an array.
    fn of(texts: &mut Texts<'a>, array: Array<'a>) -> Self {
        let start = texts.place();
        let mut run = Self {
            bytes: &[],
            start,
            texts: 0,
            text_bytes: 0,
            longest: 0,
        };
        for text in texts.by_ref().take(RUN) {
            let length = text.as_bytes().len() as u64;
            run.texts += 1;
            run.text_bytes += length;
            run.longest = run.longest.max(length);
        }
        run.bytes = array
            .as_bytes()
            .get(start..texts.place())
            .unwrap_or_default();
        run
    }
}

struct Check<'a> {
    file: &'a Gguf,
    report: CheckReport,
}

impl<'a> Check<'a> {
    fn note(&mut self, offset: usize, refused: bool, finding: impl FnOnce() -> Finding) {
        if self.report.notes.len() < NOTES_KEPT {
            let note = Note {
                offset: offset as u64,
                finding: finding(),
                refused,
            };
            self.report.notes.push(note);
        } else {
            self.report.notes_left_out += 1;
        }
    }

    fn header(&mut self) {
        if self.file.version() == 1 {
            self.note(4, true, || Finding::VersionOne);
        }
        let native = if cfg!(target_endian = "big") {
            Endianness::Big
        } else {
            Endianness::Little
        };
        if self.file.endianness() != native {
            self.note(4, true, || Finding::ByteOrder);
        }
    }

    fn metadata(&mut self) -> Result<(), GgufError> {
        let file = self.file;
        let bytes = file.as_bytes();
        for (entry, (key, value)) in file.index().entries.iter().zip(file.metadata()) {
            self.report.keys += 1;
            self.text(key, entry.key.start, key);
            let at = entry.value.start;
            match value {
                Value::String(text) => self.text(text, at, key),
                Value::Array(array) => self.array(array, at, key)?,
                Value::Bool(_) => {
                    self.truths(entry.value.of(bytes), at, key);
                    self.report.numbers += 1;
                }
                _ => self.report.numbers += 1,
            }
        }
        Ok(())
    }

    #[inline]
    fn text(&mut self, text: Text<'a>, at: usize, of: Text<'a>) {
        self.report.strings += 1;
        self.report.string_bytes += text.as_bytes().len() as u64;
        if text.to_str().is_err() {
            self.note(at, false, || Finding::NotUtf8 { of: of.to_string() });
        }
    }

    fn truths(&mut self, bytes: &[u8], at: usize, key: Text<'a>) {
        for (place, &byte) in bytes.iter().enumerate().filter(|&(_, &byte)| byte > 1) {
            self.note(at + place, false, || Finding::Truth {
                key: key.to_string(),
                byte,
            });
        }
    }

    fn array(&mut self, array: Array<'a>, at: usize, key: Text<'a>) -> Result<(), GgufError> {
        let length = self.file.index().layout.lengths.bytes();
        // Past the element type and the count.
        let mut at = at + 4 + length;
        let mut found = 0;
        match array.element_type() {
            ValueType::String => found = self.texts(array, at, key),
            ValueType::Array => {
                self.note(at, true, || Finding::NestedArray {
                    key: key.to_string(),
                });
                for inner in array.iter().filter_map(|value| value.as_array()) {
                    self.array(inner, at, key)?;
                    at += 4 + length + inner.as_bytes().len();
                    found += 1;
                }
            }
            element => {
                if element == ValueType::Bool {
                    self.truths(array.as_bytes(), at, key);
                }
                found = array.as_bytes().len() as u64 / element.size().max(1);
                self.report.numbers += found;
            }
        }
        if found == array.len() {
            return Ok(());
        }
        let problem = crate::Problem::Truncated {
            what: "an array that was whole when the file was opened",
            needed: array.len(),
            available: found,
        };
        Err(GgufError::malformed(problem, at))
    }

    /// Checks the texts of an array, many at a time, and returns how many there are.
    fn texts(&mut self, array: Array<'a>, at: usize, key: Text<'a>) -> u64 {
        let Some(mut texts) = array.texts() else {
            return 0;
        };
        let mut found = 0;
        loop {
            let runs: [Run<'a>; LANES] = std::array::from_fn(|_| Run::of(&mut texts, array));
            let valid = utf8::valid(runs.each_ref().map(|run| run.bytes));
            for (run, valid) in runs.iter().zip(valid) {
                found += run.texts;
                if valid && run.longest < utf8::LONGEST {
                    self.report.strings += run.texts;
                    self.report.string_bytes += run.text_bytes;
                } else {
                    self.run(run, at, key);
                }
            }
            if runs.iter().any(|run| run.texts == 0) {
                return found;
            }
        }
    }

    /// Checks the texts of a run one by one.
    fn run(&mut self, run: &Run<'a>, at: usize, key: Text<'a>) {
        let layout = self.file.index().layout;
        let mut cursor = Cursor::new(run.bytes, 0, layout);
        let mut place = cursor.at;
        while let Some(text) = cursor.text() {
            self.text(Text(text), at + run.start + place, key);
            place = cursor.at;
        }
    }

    /// Lists beside the tokens and the numbers of special tokens must fit the tokens.
    fn vocabulary(&mut self) {
        let file = self.file;
        let tokens = file
            .get("tokenizer.ggml.tokens")
            .and_then(|value| value.as_array());
        let Some(tokens) = tokens.map(|tokens| tokens.len()) else {
            return;
        };
        for (entry, (key, value)) in file.index().entries.iter().zip(file.metadata()) {
            let Some(name) = key.as_bytes().strip_prefix(b"tokenizer.ggml.") else {
                continue;
            };
            let at = entry.value.start;
            match value {
                Value::Array(list)
                    if matches!(name, b"scores" | b"token_type") && list.len() != tokens =>
                {
                    let found = list.len();
                    let key = key.to_string();
                    self.note(at, false, || Finding::ListLength { key, found, tokens });
                }
                number if name.ends_with(b"_token_id") => {
                    if let Some(token) = number.as_u64().filter(|&token| token >= tokens) {
                        let key = key.to_string();
                        self.note(at, false, || Finding::TokenOutside { key, token, tokens });
                    }
                }
                _ => {}
            }
        }
    }

    fn tensors(&mut self) {
        let file = self.file;
        let alignment = u64::from(file.alignment());
        let mut expected = Some(0);
        for (entry, tensor) in file.index().tensors.iter().zip(file.tensors()) {
            let at = entry.name.start;
            let name = tensor.name();
            self.report.tensors += 1;
            self.report.tensor_bytes += tensor.size().unwrap_or(0);
            self.text(name, at, name);
            if name.as_bytes().len() > LONGEST_NAME {
                self.note(at, true, || Finding::LongName {
                    tensor: name.to_string(),
                });
            }
            if let Some(expected) = expected.filter(|&expected| expected != tensor.offset()) {
                let start = tensor.offset();
                let tensor = name.to_string();
                self.note(at, true, || Finding::Gap {
                    tensor,
                    start,
                    expected,
                });
            }
            expected = self
                .end_of(&tensor, at)
                .map(|end| end.next_multiple_of(alignment));
        }
    }

    /// The end of a tensor's data; `None`, with a note, where its type is not known.
    fn end_of(&mut self, tensor: &Tensor<'_>, at: usize) -> Option<u64> {
        let Some(size) = tensor.size() else {
            let ggml_type = tensor.ggml_type();
            let tensor = tensor.name().to_string();
            self.note(at, true, || Finding::TensorType { tensor, ggml_type });
            return None;
        };
        tensor.offset().checked_add(size)
    }
}
