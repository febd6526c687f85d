//! Metadata values, borrowed from the file.

use std::borrow::Cow;
use std::fmt;
use std::str::Utf8Error;

use serde::{Serialize, Serializer};

use crate::GgufError;
use crate::array::Array;
use crate::cursor::{Cursor, Endianness};

/// The type of a metadata value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// 8-bit unsigned integer.
    U8,
    /// 8-bit signed integer.
    I8,
    /// 16-bit unsigned integer.
    U16,
    /// 16-bit signed integer.
    I16,
    /// 32-bit unsigned integer.
    U32,
    /// 32-bit signed integer.
    I32,
    /// 32-bit float.
    F32,
    /// A byte that is 0 or 1.
    Bool,
    /// Bytes, meant to be UTF-8.
    String,
    /// Values of one type.
    Array,
    /// 64-bit unsigned integer.
    U64,
    /// 64-bit signed integer.
    I64,
    /// 64-bit float.
    F64,
}

impl ValueType {
    /// Every type, indexed by its number in the file.
    pub const ALL: [Self; 13] = [
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::F32,
        Self::Bool,
        Self::String,
        Self::Array,
        Self::U64,
        Self::I64,
        Self::F64,
    ];

    /// The type of a number in a file.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// The type's number in a file.
    pub fn number(self) -> u32 {
        (0..)
            .zip(Self::ALL)
            .find_map(|(number, of)| (of == self).then_some(number))
            .unwrap_or(0)
    }

    /// The type's name, as llama.cpp prints it.
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::Bool => "bool",
            Self::String => "str",
            Self::Array => "arr",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F64 => "f64",
        }
    }

    /// Bytes of one value; 0 for strings and arrays, whose sizes differ.
    pub(crate) const fn size(self) -> u64 {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
            Self::String | Self::Array => 0,
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Text of a file: bytes that are nearly always UTF-8. llama.cpp does not check, and vocabularies
/// with broken tokens exist, so reading tolerates what is not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a>(pub &'a [u8]);

impl<'a> Text<'a> {
    /// The bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The text, if it is UTF-8.
    pub fn to_str(self) -> Result<&'a str, Utf8Error> {
        std::str::from_utf8(self.0)
    }

    /// The text, with U+FFFD for what is not UTF-8.
    pub fn lossy(self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.0)
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.lossy())
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.lossy(), f)
    }
}

/// A metadata value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// 8-bit unsigned integer.
    U8(u8),
    /// 8-bit signed integer.
    I8(i8),
    /// 16-bit unsigned integer.
    U16(u16),
    /// 16-bit signed integer.
    I16(i16),
    /// 32-bit unsigned integer.
    U32(u32),
    /// 32-bit signed integer.
    I32(i32),
    /// 32-bit float.
    F32(f32),
    /// Truth value: any byte but 0 is true, as in llama.cpp.
    Bool(bool),
    /// Text.
    String(Text<'a>),
    /// Values of one type, decoded when iterated.
    Array(Array<'a>),
    /// 64-bit unsigned integer.
    U64(u64),
    /// 64-bit signed integer.
    I64(i64),
    /// 64-bit float.
    F64(f64),
}

impl<'a> Value<'a> {
    /// The value's type.
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::U8(_) => ValueType::U8,
            Self::I8(_) => ValueType::I8,
            Self::U16(_) => ValueType::U16,
            Self::I16(_) => ValueType::I16,
            Self::U32(_) => ValueType::U32,
            Self::I32(_) => ValueType::I32,
            Self::F32(_) => ValueType::F32,
            Self::Bool(_) => ValueType::Bool,
            Self::String(_) => ValueType::String,
            Self::Array(_) => ValueType::Array,
            Self::U64(_) => ValueType::U64,
            Self::I64(_) => ValueType::I64,
            Self::F64(_) => ValueType::F64,
        }
    }

    /// The value, if it is an integer of any width that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::U64(value) => Some(value),
            Self::I8(value) => value.try_into().ok(),
            Self::I16(value) => value.try_into().ok(),
            Self::I32(value) => value.try_into().ok(),
            Self::I64(value) => value.try_into().ok(),
            _ => None,
        }
    }

    /// The value, if it is an integer of any width that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::I8(value) => Some(value.into()),
            Self::I16(value) => Some(value.into()),
            Self::I32(value) => Some(value.into()),
            Self::I64(value) => Some(value),
            _ => self.as_u64().and_then(|value| value.try_into().ok()),
        }
    }

    /// The value, if it is a float.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::F32(value) => Some(value.into()),
            Self::F64(value) => Some(value),
            _ => None,
        }
    }

    /// The value, if it is a truth value.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The value, if it is text.
    pub fn as_text(&self) -> Option<Text<'a>> {
        match *self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value, if it is text and UTF-8.
    pub fn as_str(&self) -> Option<&'a str> {
        self.as_text()?.to_str().ok()
    }

    /// The value, if it is an array.
    pub fn as_array(&self) -> Option<Array<'a>> {
        match *self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }

    /// Reads a value of the given type and moves past it.
    pub(crate) fn read(cursor: &mut Cursor<'a>, value_type: ValueType) -> Result<Self, GgufError> {
        Ok(match value_type {
            ValueType::String => Self::String(Text(cursor.string("a string")?)),
            ValueType::Array => Self::Array(Array::read(cursor)?),
            _ => {
                let bytes = cursor.take(value_type.size(), "a metadata value")?;
                Self::scalar(value_type, bytes, cursor.layout.endianness)
            }
        })
    }

    /// The scalar whose bytes these are; missing bytes count as zero.
    #[inline]
    pub(crate) fn scalar(value_type: ValueType, bytes: &[u8], endianness: Endianness) -> Self {
        macro_rules! number {
            ($type:ty) => {
                match (bytes.first_chunk(), endianness) {
                    (Some(bytes), Endianness::Little) => <$type>::from_le_bytes(*bytes),
                    (Some(bytes), Endianness::Big) => <$type>::from_be_bytes(*bytes),
                    (None, _) => <$type>::default(),
                }
            };
        }
        match value_type {
            ValueType::I8 => Self::I8(number!(i8)),
            ValueType::U16 => Self::U16(number!(u16)),
            ValueType::I16 => Self::I16(number!(i16)),
            ValueType::U32 => Self::U32(number!(u32)),
            ValueType::I32 => Self::I32(number!(i32)),
            ValueType::F32 => Self::F32(number!(f32)),
            ValueType::Bool => Self::Bool(number!(u8) != 0),
            ValueType::U64 => Self::U64(number!(u64)),
            ValueType::I64 => Self::I64(number!(i64)),
            ValueType::F64 => Self::F64(number!(f64)),
            ValueType::U8 | ValueType::String | ValueType::Array => Self::U8(number!(u8)),
        }
    }
}

/// As plain data: text lossily, arrays as lists.
impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::U8(value) => serializer.serialize_u8(*value),
            Self::I8(value) => serializer.serialize_i8(*value),
            Self::U16(value) => serializer.serialize_u16(*value),
            Self::I16(value) => serializer.serialize_i16(*value),
            Self::U32(value) => serializer.serialize_u32(*value),
            Self::I32(value) => serializer.serialize_i32(*value),
            Self::F32(value) => serializer.serialize_f32(*value),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::String(text) => serializer.serialize_str(&text.lossy()),
            Self::Array(array) => serializer.collect_seq(array.iter()),
            Self::U64(value) => serializer.serialize_u64(*value),
            Self::I64(value) => serializer.serialize_i64(*value),
            Self::F64(value) => serializer.serialize_f64(*value),
        }
    }
}
