//! Reads variables one by one and keeps book of which were read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The variables that are set, which of them were read, and what there is to say about them.
#[derive(Debug)]
pub(crate) struct Variables<'a> {
    all: &'a BTreeMap<String, String>,
    read: BTreeSet<&'static str>,
    notices: Vec<String>,
}

impl<'a> Variables<'a> {
    pub(crate) fn new(all: &'a BTreeMap<String, String>) -> Self {
        Self {
            all,
            read: BTreeSet::new(),
            notices: Vec::new(),
        }
    }

    /// The value of a variable; an empty one counts as not set.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<&'a str> {
        self.read.insert(name);
        let text = self.all.get(name)?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// `true`, in any case, means yes; the specification has no other word for it.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        let value = self.text(name);
        let yes = value.is_some_and(|text| text.eq_ignore_ascii_case("true"));
        if !yes && value.is_some_and(|text| !text.eq_ignore_ascii_case("false")) {
            self.notice(format!("{name} is neither true nor false; false is used"));
        }
        yes
    }

    /// A whole number.
    pub(crate) fn number(&mut self, name: &'static str) -> Option<u64> {
        let number = self.text(name)?.parse();
        if number.is_err() {
            self.notice(format!("{name} is no whole number; the default is used"));
        }
        number.ok()
    }

    /// A number of milliseconds.
    pub(crate) fn milliseconds(&mut self, name: &'static str) -> Option<Duration> {
        self.number(name).map(Duration::from_millis)
    }

    /// Says something to the user. Values that may be secret have no place in it.
    pub(crate) fn notice(&mut self, text: String) {
        // A variable of all signals is read once for each.
        if !self.notices.contains(&text) {
            self.notices.push(text);
        }
    }

    /// The names that are set and were not read.
    pub(crate) fn unread(&self) -> Vec<&'a str> {
        self.all
            .iter()
            .filter(|(name, value)| !value.trim().is_empty() && !self.read.contains(name.as_str()))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    /// The names that were read, set or not.
    #[cfg(test)]
    pub(crate) fn names_read(&self) -> &BTreeSet<&'static str> {
        &self.read
    }

    pub(crate) fn into_notices(self) -> Vec<String> {
        self.notices
    }
}

/// `key=value` pairs between commas, values percent-encoded, as in W3C Baggage.
/// `None` if it is none.
pub(crate) fn pairs(list: &str) -> Option<Vec<(String, String)>> {
    list.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let key = Some(key.trim()).filter(|key| !key.is_empty())?;
            Some((key.to_owned(), percent_decoded(value.trim())?))
        })
        .collect()
}

/// The text behind `%20` and its like; `None` if it is none.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || {
                let byte = bytes.next()?;
                char::from(byte).to_digit(16)
            };
            let value = digit()? * 16 + digit()?;
            decoded.push(u8::try_from(value).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_split_and_decoded() {
        let owned = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            pairs("a=1, b = x%20y%2Cz ,c=u=v,d=,").unwrap(),
            [
                owned("a", "1"),
                owned("b", "x y,z"),
                owned("c", "u=v"),
                owned("d", ""),
            ]
        );
        for wrong in ["a", "=1", "a=%", "a=%2", "a=%zz", "a=%ff", "a=%+1"] {
            assert_eq!(pairs(wrong), None, "{wrong}");
        }
    }
}
