//! The reader: a GGUF file as metadata and tensors, without copying either.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use crate::array::Array;
use crate::cursor::{Cursor, Endianness};
use crate::ggml::GgmlType;
use crate::index::{Entry, Index, TensorEntry};
use crate::value::{Text, Value, ValueType};
use crate::{GgufError, sys};

/// An opened GGUF file, of version 1 to 3 and either byte order.
pub struct Gguf {
    bytes: Bytes,
    index: Index,
    path: Option<PathBuf>,
}

/// Bytes that [`Gguf::from_bytes`] takes.
pub struct Bytes(Storage);

enum Storage {
    Mapped(Mmap),
    Owned(Vec<u8>),
    Shared(Arc<[u8]>),
    Static(&'static [u8]),
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Storage::Mapped(map) => map,
            Storage::Owned(bytes) => bytes,
            Storage::Shared(bytes) => bytes,
            Storage::Static(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.as_slice().len())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Storage::Owned(bytes))
    }
}

impl From<Arc<[u8]>> for Bytes {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self(Storage::Shared(bytes))
    }
}

impl From<&'static [u8]> for Bytes {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Storage::Static(bytes))
    }
}

impl Gguf {
    /// Opens a file by mapping it into memory.
    ///
    /// Everything is checked but the contents of strings and tensors: header, metadata, tensor
    /// descriptions, and that every array and every tensor lies inside the file as it is now.
    /// [`check`](crate::Gguf::check) decodes the rest.
    ///
    /// The file must not be truncated while it is open: access to bytes that have gone ends the
    /// process with `SIGBUS`. [`changed_length`](Self::changed_length) tells whether it was.
    /// Replacing the file by renaming another over it is safe.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, GgufError> {
        let path = path.as_ref();
        let failed = |action| {
            move |source| GgufError::Io {
                action,
                path: path.to_owned(),
                source,
            }
        };
        // Asked before opening, since opening a pipe would wait for its writer.
        if !std::fs::metadata(path).map_err(failed("open"))?.is_file() {
            return Err(GgufError::NotAFile {
                path: path.to_owned(),
            });
        }
        let file = File::open(path).map_err(failed("open"))?;
        let length = file.metadata().map_err(failed("open"))?.len();
        let bytes = if length == 0 {
            Bytes(Storage::Static(&[]))
        } else {
            Bytes(Storage::Mapped(sys::map(&file).map_err(failed("map"))?))
        };
        let index = Index::build(bytes.as_slice()).map_err(|error| error.in_file_at(path))?;
        Ok(Self {
            bytes,
            index,
            path: Some(path.to_owned()),
        })
    }

    /// Reads a file that is in memory already.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, GgufError> {
        let bytes = bytes.into();
        let index = Index::build(bytes.as_slice())?;
        Ok(Self {
            bytes,
            index,
            path: None,
        })
    }

    /// The file's length, if it is no longer what it was when it was opened.
    pub fn changed_length(&self) -> Result<Option<u64>, GgufError> {
        let Some(path) = &self.path else {
            return Ok(None);
        };
        let now = std::fs::metadata(path)
            .map_err(|source| GgufError::Io {
                action: "look at",
                path: path.clone(),
                source,
            })?
            .len();
        Ok((now != self.file_length()).then_some(now))
    }

    /// The path that was opened.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The whole file.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The file's length in bytes.
    pub fn file_length(&self) -> u64 {
        self.as_bytes().len() as u64
    }

    /// The format's version: 1, 2 or 3.
    pub fn version(&self) -> u32 {
        self.index.version
    }

    /// The file's byte order.
    pub fn endianness(&self) -> Endianness {
        self.index.layout.endianness
    }

    /// The alignment of tensor data in bytes, a power of two.
    pub fn alignment(&self) -> u32 {
        self.index.alignment
    }

    /// Where the data section starts, in bytes from the start of the file. Without tensors this
    /// may lie past the file's end.
    pub fn data_offset(&self) -> u64 {
        self.index.data_start
    }

    /// The keys and values, in the file's order.
    pub fn metadata(&self) -> impl ExactSizeIterator<Item = (Text<'_>, Value<'_>)> + Clone {
        let bytes = self.as_bytes();
        self.index
            .entries
            .iter()
            .map(|entry| (Text(entry.key.of(bytes)), self.decode(entry)))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<Value<'_>> {
        self.index
            .entry(self.as_bytes(), key.as_bytes())
            .map(|entry| self.decode(entry))
    }

    /// Where the value of a key lies, in bytes from the start of the file.
    pub fn value_offset(&self, key: &str) -> Option<u64> {
        let entry = self.index.entry(self.as_bytes(), key.as_bytes())?;
        Some(entry.value.start as u64)
    }

    /// The tensors, in the file's order.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = Tensor<'_>> + Clone {
        self.index
            .tensors
            .iter()
            .map(|entry| Tensor { file: self, entry })
    }

    /// The tensor of a name.
    pub fn tensor(&self, name: &str) -> Option<Tensor<'_>> {
        let entry = self.index.tensor(self.as_bytes(), name.as_bytes())?;
        Some(Tensor { file: self, entry })
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn in_this_file(&self, error: GgufError) -> GgufError {
        match &self.path {
            Some(path) => error.in_file_at(path),
            None => error,
        }
    }

    fn decode(&self, entry: &Entry) -> Value<'_> {
        let bytes = entry.value.of(self.as_bytes());
        let layout = self.index.layout;
        let mut cursor = Cursor::new(bytes, 0, layout);
        match entry.value_type {
            // The end of the array is known from opening: no need to walk it again.
            ValueType::Array => {
                let (element, count) = cursor.array_header().unwrap_or((ValueType::U8, 0));
                let elements = bytes.get(cursor.at..).unwrap_or_default();
                Value::Array(Array::of(element, count, elements, layout))
            }
            ValueType::String => Value::String(Text(cursor.string("a string").unwrap_or_default())),
            scalar => Value::scalar(scalar, bytes, layout.endianness),
        }
    }
}

impl fmt::Debug for Gguf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gguf")
            .field("path", &self.path)
            .field("version", &self.index.version)
            .field("metadata", &self.index.entries.len())
            .field("tensors", &self.index.tensors.len())
            .field("bytes", &self.file_length())
            .finish_non_exhaustive()
    }
}

/// One tensor of a file.
#[derive(Clone, Copy)]
pub struct Tensor<'a> {
    file: &'a Gguf,
    entry: &'a TensorEntry,
}

impl<'a> Tensor<'a> {
    /// The tensor's name.
    pub fn name(&self) -> Text<'a> {
        Text(self.entry.name.of(self.file.as_bytes()))
    }

    /// Elements along each axis, the fastest-changing first, as ggml counts them.
    pub fn shape(&self) -> &'a [u64] {
        let axes = usize::try_from(self.entry.dimensions).unwrap_or(usize::MAX);
        self.entry.shape.get(..axes).unwrap_or(&self.entry.shape)
    }

    /// The type of the elements.
    pub fn ggml_type(&self) -> GgmlType {
        self.entry.ggml_type
    }

    /// How many elements there are.
    pub fn elements(&self) -> u64 {
        self.entry.elements
    }

    /// Bytes of the data; `None` where the type's size is not known.
    pub fn size(&self) -> Option<u64> {
        self.entry.size
    }

    /// Start of the data in the data section, as the file says it, in bytes.
    pub fn offset(&self) -> u64 {
        self.entry.start
    }

    /// Start of the data, in bytes from the start of the file.
    pub fn file_offset(&self) -> u64 {
        self.file.index.data_start.saturating_add(self.entry.start)
    }

    /// The data as it lies in the file; `None` where the type's size is not known.
    pub fn data(&self) -> Option<&'a [u8]> {
        let start = usize::try_from(self.file_offset()).ok()?;
        let size = usize::try_from(self.entry.size?).ok()?;
        self.file.as_bytes().get(start..start.checked_add(size)?)
    }
}

impl fmt::Debug for Tensor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.name(), self.shape(), self.ggml_type())
    }
}
