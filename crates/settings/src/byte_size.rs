//! Amounts of bytes as people write them.

use crate::field::{Context, FieldValue};
use serde_json::Value;
use std::ffi::OsStr;
use std::fmt;
use toml::de::DeValue;

/// An amount of bytes: `64MiB`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

impl ByteSize {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let bytes_each = match unit.trim() {
            "" => 1,
            unit => UNITS.iter().find(|(name, _)| *name == unit)?.1,
        };
        let number: u64 = number.parse().ok()?;
        number.checked_mul(bytes_each).map(Self)
    }
}

impl fmt::Display for ByteSize {
    /// In the largest binary unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, unit): &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*unit);
        match UNITS.iter().take(3).find(whole) {
            Some((name, unit)) => write!(f, "{}{name}", self.0 / unit),
            None => write!(f, "{}B", self.0),
        }
    }
}

impl FieldValue for ByteSize {
    const EXPECTED: &'static str = "an amount of bytes such as `64MiB`";
    fn from_text(text: &OsStr, _at: &Context<'_>) -> Option<Self> {
        Self::parse(text.to_str()?)
    }
    fn from_toml(value: &DeValue<'_>, _at: &Context<'_>) -> Option<Self> {
        match value {
            DeValue::String(text) => Self::parse(text),
            DeValue::Integer(number) if number.radix() == 10 => {
                Self::parse(&number.as_str().replace('_', ""))
            }
            _ => None,
        }
    }
    fn shown(&self) -> Value {
        Value::String(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes, shown) in [
            ("64MiB", 64 << 20, "64MiB"),
            ("1 GiB", 1 << 30, "1GiB"),
            ("1500", 1500, "1500B"),
            ("2MB", 2_000_000, "2000000B"),
            ("0", 0, "0B"),
        ] {
            assert_eq!(ByteSize::parse(text), Some(ByteSize(bytes)), "{text}");
            assert_eq!(ByteSize(bytes).to_string(), shown);
        }
        for wrong in ["", "MiB", "1.5MiB", "-1", "1 parsec", "99999999999GiB"] {
            assert_eq!(ByteSize::parse(wrong), None, "{wrong}");
        }
    }
}
