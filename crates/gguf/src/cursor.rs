//! Bounds-checked reading of the file's primitives. Every failure names its place.

use crate::strings::skip_strings;
use crate::value::ValueType;
use crate::{GgufError, Problem};

/// The deepest nesting of arrays that is read: real files have none, the format forbids none.
pub(crate) const MAX_NESTING: u32 = 16;

/// Byte order of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Endianness {
    /// Least significant byte first: nearly all files.
    #[default]
    Little,
    /// Most significant byte first: files for s390x and the like.
    Big,
}

impl Endianness {
    #[inline]
    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    #[inline]
    fn u64(self, bytes: [u8; 8]) -> u64 {
        match self {
            Self::Little => u64::from_le_bytes(bytes),
            Self::Big => u64::from_be_bytes(bytes),
        }
    }
}

/// How the numbers of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) endianness: Endianness,
    pub(crate) lengths: Lengths,
}

/// How wide lengths and counts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lengths {
    /// 32 bits: version 1.
    Narrow,
    /// 64 bits: version 2 and later.
    Wide,
}

impl Lengths {
    /// Bytes of a length.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::Narrow => 4,
            Self::Wide => 8,
        }
    }
}

/// A place in a file, moving forward.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
    pub(crate) layout: Layout,
}

type Result<T> = std::result::Result<T, GgufError>;

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize, layout: Layout) -> Self {
        Self { bytes, at, layout }
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> u64 {
        self.bytes.len().saturating_sub(self.at) as u64
    }

    /// The next `count` bytes, which belong to `what`.
    #[inline]
    pub(crate) fn take(&mut self, count: u64, what: &'static str) -> Result<&'a [u8]> {
        let taken = usize::try_from(count)
            .ok()
            .and_then(|count| self.at.checked_add(count))
            .and_then(|end| self.bytes.get(self.at..end));
        let Some(taken) = taken else {
            let available = self.left();
            let problem = Problem::Truncated {
                what,
                needed: count,
                available,
            };
            return Err(GgufError::malformed(problem, self.at));
        };
        self.at += taken.len();
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64, what)?);
        Ok(array)
    }

    #[inline]
    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32> {
        self.array(what)
            .map(|bytes| self.layout.endianness.u32(bytes))
    }

    #[inline]
    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64> {
        self.array(what)
            .map(|bytes| self.layout.endianness.u64(bytes))
    }

    /// A length, count or dimension: 32 bits in version 1, 64 later.
    #[inline]
    pub(crate) fn length(&mut self, what: &'static str) -> Result<u64> {
        match self.layout.lengths {
            Lengths::Narrow => self.u32(what).map(u64::from),
            Lengths::Wide => self.u64(what),
        }
    }

    /// A count of things of at least `smallest` bytes each, which must fit into what is left.
    pub(crate) fn count(&mut self, smallest: u64, what: &'static str) -> Result<u64> {
        let at = self.at;
        let count = self.length(what)?;
        self.fits(count, smallest, what, at)?;
        Ok(count)
    }

    /// Fails at `at` unless `count` things of at least `smallest` bytes fit into what is left.
    pub(crate) fn fits(
        &self,
        count: u64,
        smallest: u64,
        what: &'static str,
        at: usize,
    ) -> Result<()> {
        let available = self.left();
        if count
            .checked_mul(smallest)
            .is_none_or(|needed| needed > available)
        {
            return Err(GgufError::malformed(
                Problem::Count {
                    what,
                    count,
                    available,
                },
                at,
            ));
        }
        Ok(())
    }

    /// A string's bytes.
    #[inline]
    pub(crate) fn string(&mut self, what: &'static str) -> Result<&'a [u8]> {
        let length = self.length(what)?;
        self.take(length, what)
    }

    /// A string's bytes, without saying what is wrong where there is none: the quick way through
    /// arrays whose bounds are known.
    #[inline]
    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        let (length, start) = match self.layout.lengths {
            Lengths::Narrow => {
                let length = *self.bytes.get(self.at..)?.first_chunk()?;
                (u64::from(self.layout.endianness.u32(length)), self.at + 4)
            }
            Lengths::Wide => {
                let length = *self.bytes.get(self.at..)?.first_chunk()?;
                (self.layout.endianness.u64(length), self.at + 8)
            }
        };
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        let text = self.bytes.get(start..end)?;
        self.at = end;
        Some(text)
    }

    /// The type of a metadata value.
    pub(crate) fn value_type(&mut self) -> Result<ValueType> {
        let at = self.at;
        let number = self.u32("a value type")?;
        ValueType::from_number(number)
            .ok_or_else(|| GgufError::malformed(Problem::ValueType { number }, at))
    }

    /// Passes over a value of the given type.
    pub(crate) fn skip_value(&mut self, value_type: ValueType, depth: u32) -> Result<()> {
        match value_type {
            ValueType::String => self.string("a string").map(drop),
            ValueType::Array => self.skip_array(depth + 1),
            _ => self.take(value_type.size(), "a metadata value").map(drop),
        }
    }

    /// Passes over an array: its header and its elements.
    fn skip_array(&mut self, depth: u32) -> Result<()> {
        let at = self.at;
        if depth > MAX_NESTING {
            return Err(GgufError::malformed(
                Problem::Nesting { limit: MAX_NESTING },
                at,
            ));
        }
        let (element, count) = self.array_header()?;
        match element {
            ValueType::String => {
                self.at = skip_strings(self.bytes, self.at, count, self.layout)
                    .map_err(|at| self.string_error(at))?;
            }
            ValueType::Array => {
                for _ in 0..count {
                    self.skip_array(depth + 1)?;
                }
            }
            _ => {
                // The count was found to fit, so this product does too.
                self.take(count.saturating_mul(element.size()), "an array")?;
            }
        }
        Ok(())
    }

    /// The element type and count of an array, whose elements follow.
    pub(crate) fn array_header(&mut self) -> Result<(ValueType, u64)> {
        let element = self.value_type()?;
        let length = self.layout.lengths.bytes() as u64;
        let smallest = match element {
            ValueType::String => length,
            ValueType::Array => 4 + length,
            _ => element.size(),
        };
        let count = self.count(smallest, "array elements")?;
        Ok((element, count))
    }

    /// What is wrong with the string at `at`.
    fn string_error(&self, at: usize) -> GgufError {
        let what = "a string of an array";
        let mut there = Self { at, ..self.clone() };
        // Reading it again succeeds only if the file is being changed meanwhile.
        let vanished = Problem::Truncated {
            what,
            needed: 0,
            available: 0,
        };
        there
            .string(what)
            .err()
            .unwrap_or_else(|| GgufError::malformed(vanished, at))
    }
}
