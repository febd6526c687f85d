//! The writer: any metadata and any tensors as a GGUF file.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use crate::GgufError;
use crate::cursor::{Endianness, MAX_NESTING};
use crate::ggml::GgmlType;
use crate::index::DEFAULT_ALIGNMENT;
use crate::owned::OwnedValue;
use crate::value::ValueType;

/// Collects metadata and tensors and writes them as one file, version 3 unless told otherwise.
///
/// Keys and tensors keep the order they were given in. Tensors are laid out one after the other,
/// each padded to the alignment, as llama.cpp demands.
#[derive(Debug, Clone)]
pub struct GgufWriter<'a> {
    version: u32,
    endianness: Endianness,
    alignment: u32,
    entries: Vec<(Vec<u8>, OwnedValue)>,
    keys: BTreeSet<Vec<u8>>,
    tensors: Vec<NewTensor<'a>>,
    names: BTreeSet<Vec<u8>>,
}

#[derive(Debug, Clone)]
struct NewTensor<'a> {
    name: Vec<u8>,
    shape: Vec<u64>,
    ggml_type: GgmlType,
    data: Cow<'a, [u8]>,
}

impl Default for GgufWriter<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> GgufWriter<'a> {
    /// A writer of an empty file of version 3, little-endian.
    pub fn new() -> Self {
        Self {
            version: 3,
            endianness: Endianness::Little,
            alignment: DEFAULT_ALIGNMENT,
            entries: Vec::new(),
            keys: BTreeSet::new(),
            tensors: Vec::new(),
            names: BTreeSet::new(),
        }
    }

    /// Writes another version: 1, with 32-bit lengths, or 2.
    ///
    /// # Errors
    /// [`GgufError::Unwritable`] for versions that do not exist.
    pub fn version(&mut self, version: u32) -> Result<&mut Self, GgufError> {
        if !(1..=3).contains(&version) {
            return Err(unwritable(
                "the file",
                format!("version {version} does not exist"),
            ));
        }
        self.version = version;
        Ok(self)
    }

    /// Writes numbers in the given byte order. Tensor data is written as it is given.
    pub fn endianness(&mut self, endianness: Endianness) -> &mut Self {
        self.endianness = endianness;
        self
    }

    /// Adds a key. `general.alignment`, a `u32`, also sets the alignment of the tensors.
    ///
    /// # Errors
    /// [`GgufError::Unwritable`] for an empty key, one that is there already, an array of mixed
    /// types, arrays nested deeper than this crate reads, or an alignment that is none.
    pub fn set(
        &mut self,
        key: impl Into<Vec<u8>>,
        value: impl Into<OwnedValue>,
    ) -> Result<&mut Self, GgufError> {
        let (key, value) = (key.into(), value.into());
        let refuse = |reason: &str| Err(unwritable(&String::from_utf8_lossy(&key), reason));
        if key.is_empty() {
            return refuse("the key is empty");
        }
        if let Err(reason) = check_value(&value, 0) {
            return refuse(reason);
        }
        if key == b"general.alignment" {
            match value {
                OwnedValue::U32(alignment) if alignment.is_power_of_two() => {
                    self.alignment = alignment;
                }
                _ => return refuse("an alignment is a u32 and a power of two"),
            }
        }
        if !self.keys.insert(key.clone()) {
            return refuse("the key is there already");
        }
        self.entries.push((key, value));
        Ok(self)
    }

    /// Adds a tensor: its shape with the fastest-changing axis first, and its data as ggml lays
    /// it out.
    ///
    /// # Errors
    /// [`GgufError::Unwritable`] for a name that is there already, more than four axes, rows that
    /// are not whole blocks of the type, or data of another size than shape and type demand.
    pub fn tensor(
        &mut self,
        name: impl Into<Vec<u8>>,
        shape: &[u64],
        ggml_type: GgmlType,
        data: impl Into<Cow<'a, [u8]>>,
    ) -> Result<&mut Self, GgufError> {
        let (name, data) = (name.into(), data.into());
        let refuse = |reason: String| Err(unwritable(&String::from_utf8_lossy(&name), reason));
        if shape.len() > 4 {
            return refuse(format!("{} axes are more than 4", shape.len()));
        }
        if let Some(block) = ggml_type.block() {
            let row = shape.first().copied().unwrap_or(1);
            if !row.is_multiple_of(block.elements.into()) {
                let block = block.elements;
                return refuse(format!(
                    "rows of {row} are no multiple of the {block} of {ggml_type}"
                ));
            }
            let elements = shape
                .iter()
                .try_fold(1_u64, |product, &axis| product.checked_mul(axis));
            let size = elements.and_then(|elements| ggml_type.bytes_of(elements));
            if size != Some(data.len() as u64) {
                let found = data.len();
                return refuse(match size {
                    Some(size) => format!("its data is {found} bytes instead of {size}"),
                    None => "its shape is too large".to_owned(),
                });
            }
        }
        if !self.names.insert(name.clone()) {
            return refuse("a tensor of this name is there already".to_owned());
        }
        self.tensors.push(NewTensor {
            name,
            shape: shape.to_vec(),
            ggml_type,
            data,
        });
        Ok(self)
    }

    /// The whole file.
    ///
    /// # Errors
    /// [`GgufError::Unwritable`] where something is too long for version 1.
    pub fn to_bytes(&self) -> Result<Vec<u8>, GgufError> {
        let mut bytes = self.header()?;
        for tensor in &self.tensors {
            bytes.extend_from_slice(&tensor.data);
            pad(&mut bytes, self.alignment);
        }
        Ok(bytes)
    }

    /// Writes the file to `path`, over what is there.
    ///
    /// # Errors
    /// [`GgufError::Io`], and those of [`to_bytes`](Self::to_bytes).
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), GgufError> {
        let path = path.as_ref();
        let header = self.header()?;
        let written = File::create(path).and_then(|file| self.write_all(file, &header));
        written.map_err(|source| GgufError::Io {
            action: "write",
            path: path.to_owned(),
            source,
        })
    }

    fn write_all(&self, file: File, header: &[u8]) -> io::Result<()> {
        let mut file = BufWriter::new(file);
        file.write_all(header)?;
        for tensor in &self.tensors {
            file.write_all(&tensor.data)?;
            let padding = padding(tensor.data.len() as u64, self.alignment);
            io::copy(&mut io::Read::take(io::repeat(0), padding), &mut file)?;
        }
        file.flush()
    }

    /// Everything before the data section, padded to where that starts.
    fn header(&self) -> Result<Vec<u8>, GgufError> {
        let mut out = Out {
            bytes: Vec::new(),
            version: self.version,
            endianness: self.endianness,
        };
        out.bytes.extend_from_slice(b"GGUF");
        out.u32(self.version);
        out.length(self.tensors.len() as u64, "the tensors")?;
        out.length(self.entries.len() as u64, "the metadata")?;
        for (key, value) in &self.entries {
            let named = String::from_utf8_lossy(key);
            out.string(key, &named)?;
            out.u32(value.value_type().number());
            out.value(value, &named)?;
        }
        let mut start = 0_u64;
        for tensor in &self.tensors {
            let named = String::from_utf8_lossy(&tensor.name);
            out.string(&tensor.name, &named)?;
            out.u32(u32::try_from(tensor.shape.len()).unwrap_or(u32::MAX));
            for &axis in &tensor.shape {
                out.length(axis, &named)?;
            }
            out.u32(tensor.ggml_type.0);
            out.u64(start);
            let size = tensor.data.len() as u64;
            start += size + padding(size, self.alignment);
        }
        pad(&mut out.bytes, self.alignment);
        Ok(out.bytes)
    }
}

/// Bytes that bring `length` to a multiple of the alignment.
fn padding(length: u64, alignment: u32) -> u64 {
    length.next_multiple_of(alignment.into()) - length
}

fn pad(bytes: &mut Vec<u8>, alignment: u32) {
    let padding = padding(bytes.len() as u64, alignment);
    bytes.extend(std::iter::repeat_n(
        0,
        usize::try_from(padding).unwrap_or(0),
    ));
}

fn unwritable(what: &str, reason: impl Into<String>) -> GgufError {
    GgufError::Unwritable {
        what: what.to_owned(),
        reason: reason.into(),
    }
}

fn check_value(value: &OwnedValue, depth: u32) -> Result<(), &'static str> {
    let OwnedValue::Array { element, items } = value else {
        return Ok(());
    };
    if depth >= MAX_NESTING {
        return Err("its arrays are nested too deep");
    }
    for item in items {
        if item.value_type() != *element {
            return Err("its array mixes types");
        }
        check_value(item, depth + 1)?;
    }
    Ok(())
}

/// A file being written in memory.
struct Out {
    bytes: Vec<u8>,
    version: u32,
    endianness: Endianness,
}

impl Out {
    fn number<const N: usize>(&mut self, mut little_endian: [u8; N]) {
        if self.endianness == Endianness::Big {
            little_endian.reverse();
        }
        self.bytes.extend_from_slice(&little_endian);
    }

    fn u32(&mut self, number: u32) {
        self.number(number.to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.number(number.to_le_bytes());
    }

    fn length(&mut self, length: u64, of: &str) -> Result<(), GgufError> {
        if self.version > 1 {
            self.u64(length);
            return Ok(());
        }
        match u32::try_from(length) {
            Ok(length) => self.u32(length),
            Err(_) => return Err(unwritable(of, "version 1 has 32-bit lengths only")),
        }
        Ok(())
    }

    fn string(&mut self, text: &[u8], of: &str) -> Result<(), GgufError> {
        self.length(text.len() as u64, of)?;
        self.bytes.extend_from_slice(text);
        Ok(())
    }

    fn value(&mut self, value: &OwnedValue, of: &str) -> Result<(), GgufError> {
        match value {
            OwnedValue::U8(value) => self.bytes.push(*value),
            OwnedValue::I8(value) => self.number(value.to_le_bytes()),
            OwnedValue::U16(value) => self.number(value.to_le_bytes()),
            OwnedValue::I16(value) => self.number(value.to_le_bytes()),
            OwnedValue::U32(value) => self.u32(*value),
            OwnedValue::I32(value) => self.number(value.to_le_bytes()),
            OwnedValue::F32(value) => self.number(value.to_le_bytes()),
            OwnedValue::Bool(value) => self.bytes.push(u8::from(*value)),
            OwnedValue::U64(value) => self.u64(*value),
            OwnedValue::I64(value) => self.number(value.to_le_bytes()),
            OwnedValue::F64(value) => self.number(value.to_le_bytes()),
            OwnedValue::String(text) => self.string(text, of)?,
            OwnedValue::Array { element, items } => {
                self.u32(ValueType::number(*element));
                self.length(items.len() as u64, of)?;
                for item in items {
                    self.value(item, of)?;
                }
            }
        }
        Ok(())
    }
}
