//! Metadata values that own their data, for writing.

use crate::value::{Value, ValueType};

/// A metadata value to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum OwnedValue {
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
    /// Truth value.
    Bool(bool),
    /// Text; bytes, since that need not be UTF-8.
    String(Vec<u8>),
    /// Values of one type.
    Array {
        /// The type of the elements.
        element: ValueType,
        /// The elements, all of that type.
        items: Vec<OwnedValue>,
    },
    /// 64-bit unsigned integer.
    U64(u64),
    /// 64-bit signed integer.
    I64(i64),
    /// 64-bit float.
    F64(f64),
}

impl OwnedValue {
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
            Self::Array { .. } => ValueType::Array,
            Self::U64(_) => ValueType::U64,
            Self::I64(_) => ValueType::I64,
            Self::F64(_) => ValueType::F64,
        }
    }
}

/// A copy of what lies in a file.
impl From<Value<'_>> for OwnedValue {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::U8(value) => Self::U8(value),
            Value::I8(value) => Self::I8(value),
            Value::U16(value) => Self::U16(value),
            Value::I16(value) => Self::I16(value),
            Value::U32(value) => Self::U32(value),
            Value::I32(value) => Self::I32(value),
            Value::F32(value) => Self::F32(value),
            Value::Bool(value) => Self::Bool(value),
            Value::String(text) => Self::String(text.as_bytes().to_vec()),
            Value::Array(array) => Self::Array {
                element: array.element_type(),
                items: array.iter().map(Self::from).collect(),
            },
            Value::U64(value) => Self::U64(value),
            Value::I64(value) => Self::I64(value),
            Value::F64(value) => Self::F64(value),
        }
    }
}

macro_rules! scalars {
    ($($type:ty => $variant:ident),*) => {$(
        impl From<$type> for OwnedValue {
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        }

        impl From<Vec<$type>> for OwnedValue {
            fn from(values: Vec<$type>) -> Self {
                Self::Array {
                    element: ValueType::$variant,
                    items: values.into_iter().map(Self::$variant).collect(),
                }
            }
        }
    )*};
}

scalars! {
    u8 => U8, i8 => I8, u16 => U16, i16 => I16, u32 => U32, i32 => I32, f32 => F32, bool => Bool,
    u64 => U64, i64 => I64, f64 => F64
}

impl From<&str> for OwnedValue {
    fn from(text: &str) -> Self {
        Self::String(text.as_bytes().to_vec())
    }
}

impl From<String> for OwnedValue {
    fn from(text: String) -> Self {
        Self::String(text.into_bytes())
    }
}

impl From<Vec<String>> for OwnedValue {
    fn from(texts: Vec<String>) -> Self {
        let items = texts.into_iter().map(Self::from).collect();
        Self::Array {
            element: ValueType::String,
            items,
        }
    }
}

impl From<Vec<&str>> for OwnedValue {
    fn from(texts: Vec<&str>) -> Self {
        let items = texts.into_iter().map(Self::from).collect();
        Self::Array {
            element: ValueType::String,
            items,
        }
    }
}
