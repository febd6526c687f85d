//! Numbers of a column as bytes.

use crate::codec::{Cursor, Malformed, put, unzigzag, zigzag};

/// What an attribute's value is; part of a column's identity, so that a column has one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ValueType {
    Text = 1,
    Bool = 2,
    Int = 3,
    Double = 4,
    /// Bytes, lists, maps: the encoded `AnyValue`.
    Other = 5,
    /// A key without a value.
    Empty = 6,
}

impl ValueType {
    const ALL: [Self; 6] = [
        Self::Text,
        Self::Bool,
        Self::Int,
        Self::Double,
        Self::Other,
        Self::Empty,
    ];

    pub(crate) fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u64 == code)
    }

    /// Whether its column holds a dictionary.
    pub(crate) const fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Other)
    }
}

/// How numbers are written.
#[derive(Clone, Copy)]
enum Form {
    Plain = 0,
    /// Each as its difference from the one before.
    Delta = 1,
    /// Eight bytes each: floating-point bits have no small numbers.
    Wide = 2,
}

/// Writes numbers in the shortest of the forms.
pub(crate) fn encode_numbers(values: &[u64], out: &mut Vec<u8>) {
    let differences = || {
        let before = std::iter::once(0).chain(values.iter().copied());
        values
            .iter()
            .zip(before)
            .map(|(value, before)| zigzag(value.wrapping_sub(before).cast_signed()))
    };
    let plain: usize = values.iter().map(|value| width(*value)).sum();
    let delta: usize = differences().map(width).sum();
    if plain.min(delta) > values.len() * 8 {
        out.push(Form::Wide as u8);
        for value in values {
            out.extend_from_slice(&value.to_le_bytes());
        }
    } else if delta < plain {
        out.push(Form::Delta as u8);
        for value in differences() {
            put(out, value);
        }
    } else {
        out.push(Form::Plain as u8);
        for value in values {
            put(out, *value);
        }
    }
}

/// Bytes of a varint.
const fn width(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Reads so many numbers.
pub(crate) fn decode_numbers(bytes: &[u8], count: usize) -> Result<Vec<u64>, Malformed> {
    let (form, rest) = bytes.split_first().ok_or(Malformed)?;
    if count > rest.len() {
        return Err(Malformed);
    }
    let mut cursor = Cursor::new(rest);
    let mut values = Vec::with_capacity(count);
    match *form {
        form if form == Form::Plain as u8 => {
            for _ in 0..count {
                values.push(cursor.number()?);
            }
        }
        form if form == Form::Delta as u8 => {
            let mut last = 0_u64;
            for _ in 0..count {
                last = last.wrapping_add(unzigzag(cursor.number()?).cast_unsigned());
                values.push(last);
            }
        }
        form if form == Form::Wide as u8 => {
            let (words, _) = rest.as_chunks::<8>();
            values.extend(
                words
                    .iter()
                    .take(count)
                    .map(|word| u64::from_le_bytes(*word)),
            );
        }
        _ => return Err(Malformed),
    }
    (values.len() == count).then_some(values).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_survive(values: Vec<u64>, small in proptest::collection::vec(0_u64..300, 0..99), start: u64) {
            let rising: Vec<u64> = small.iter().scan(start, |last, step| { *last = last.wrapping_add(*step); Some(*last) }).collect();
            for values in [values, small, rising] {
                let mut out = Vec::new();
                encode_numbers(&values, &mut out);
                prop_assert_eq!(decode_numbers(&out, values.len()), Ok(values));
            }
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes: Vec<u8>, count in 0..99_usize) {
            decode_numbers(&bytes, count).ok();
        }
    }

    #[test]
    fn a_width_is_the_bytes_written() {
        for value in [0, 1, 127, 128, 1 << 14, u64::MAX >> 1, u64::MAX] {
            let mut out = Vec::new();
            put(&mut out, value);
            assert_eq!(out.len(), width(value), "{value}");
        }
    }
}
