//! Arrays of a file, decoded one element at a time.

use std::fmt;

use crate::GgufError;
use crate::cursor::{Cursor, Layout};
use crate::value::{Text, Value, ValueType};

/// An array that still lies in the file. Its bounds were checked when the file was opened;
/// its elements are decoded when asked for.
#[derive(Clone, Copy)]
pub struct Array<'a> {
    element: ValueType,
    count: u64,
    bytes: &'a [u8],
    layout: Layout,
}

impl<'a> Array<'a> {
    /// Reads the header of the array at the cursor and moves past the array.
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Result<Self, GgufError> {
        let mut past = cursor.clone();
        past.skip_value(ValueType::Array, 0)?;
        let (element, count) = cursor.array_header()?;
        let bytes = cursor.take((past.at - cursor.at) as u64, "an array")?;
        Ok(Self {
            element,
            count,
            bytes,
            layout: cursor.layout,
        })
    }

    /// An array whose elements are known to fill `bytes`.
    pub(crate) fn of(element: ValueType, count: u64, bytes: &'a [u8], layout: Layout) -> Self {
        Self {
            element,
            count,
            bytes,
            layout,
        }
    }

    /// The type of the elements.
    pub fn element_type(&self) -> ValueType {
        self.element
    }

    /// How many elements there are.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The elements as they lie in the file, in its byte order.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The elements in their order.
    pub fn iter(&self) -> Elements<'a> {
        Elements {
            element: self.element,
            left: self.count,
            cursor: Cursor::new(self.bytes, 0, self.layout),
        }
    }

    /// The texts of an array of strings: faster than [`iter`](Self::iter).
    pub fn texts(&self) -> Option<Texts<'a>> {
        (self.element == ValueType::String).then(|| Texts {
            left: self.count,
            cursor: Cursor::new(self.bytes, 0, self.layout),
        })
    }

    /// One element: at once for numbers, by walking for strings and arrays.
    pub fn get(&self, index: u64) -> Option<Value<'a>> {
        if index >= self.count {
            return None;
        }
        let size = self.element.size();
        if size == 0 {
            return self.iter().nth(usize::try_from(index).ok()?);
        }
        let start = usize::try_from(index.checked_mul(size)?).ok()?;
        Some(Value::scalar(
            self.element,
            self.bytes.get(start..)?,
            self.layout.endianness,
        ))
    }
}

impl<'a> IntoIterator for Array<'a> {
    type Item = Value<'a>;
    type IntoIter = Elements<'a>;

    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Array<'a> {
    type Item = Value<'a>;
    type IntoIter = Elements<'a>;

    fn into_iter(self) -> Elements<'a> {
        self.iter()
    }
}

impl PartialEq for Array<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.element == other.element && self.count == other.count && self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}; {}]", self.element, self.count)
    }
}

/// The elements of an array. Ends early only where the file was changed after it was opened.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    element: ValueType,
    left: u64,
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        self.left = self.left.checked_sub(1)?;
        Value::read(&mut self.cursor, self.element).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // Every element takes at least a byte, so this count is bounded by the file's size.
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        (left.min(self.cursor.bytes.len()), Some(left))
    }
}

/// The texts of an array of strings.
#[derive(Debug, Clone)]
pub struct Texts<'a> {
    left: u64,
    cursor: Cursor<'a>,
}

impl Texts<'_> {
    /// Where the next text starts, from the start of the first, in bytes.
    pub(crate) fn place(&self) -> usize {
        self.cursor.at
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = Text<'a>;

    #[inline]
    fn next(&mut self) -> Option<Text<'a>> {
        self.left = self.left.checked_sub(1)?;
        self.cursor.text().map(Text)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        (left.min(self.cursor.bytes.len()), Some(left))
    }
}
