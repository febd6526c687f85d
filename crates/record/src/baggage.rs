//! W3C baggage: names and values that travel with a trace.

use std::fmt;

/// Names and values that travel with a trace: the `baggage` header, read and written.
///
/// Never larger than the limits: what exceeds them is left out, whole members at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baggage {
    members: Vec<Member>,
    /// The length of the header that the members make, in bytes.
    bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    key: String,
    value: String,
    /// What stands behind the value, as it came: `;ttl=30`.
    properties: String,
}

impl Baggage {
    /// Members at most.
    pub const MEMBERS: usize = 180;
    /// Bytes of the header at most.
    pub const BYTES: usize = 8192;

    /// Reads a header's value. Members that are not allowed are left out; of several with one
    /// name the last counts.
    pub fn read(header: &str) -> Self {
        let mut baggage = Self::default();
        baggage.read_more(header);
        baggage
    }

    /// Reads one more header of the same name.
    pub fn read_more(&mut self, header: &str) {
        for member in header.split(',').filter_map(Member::read) {
            self.put(member);
        }
    }

    /// Sets a value. `false` if the name is no token (letters, digits and some signs), or if the
    /// header would grow beyond its limits.
    pub fn set(&mut self, key: &str, value: &str) -> bool {
        is_token(key)
            && self.put(Member {
                key: key.to_owned(),
                value: value.to_owned(),
                properties: String::new(),
            })
    }

    /// The value of a name.
    pub fn get(&self, key: &str) -> Option<&str> {
        let member = self.members.iter().find(|member| member.key == key)?;
        Some(&member.value)
    }

    /// Names and values, decoded.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.members
            .iter()
            .map(|member| (member.key.as_str(), member.value.as_str()))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn put(&mut self, member: Member) -> bool {
        let known = self.members.iter().position(|kept| kept.key == member.key);
        let freed = known.map_or(0, |index| self.members[index].encoded_len());
        let commas = self.members.len() + usize::from(known.is_none()) - 1;
        let bytes = self.bytes - freed + member.encoded_len();
        if bytes + commas > Self::BYTES || (known.is_none() && self.members.len() >= Self::MEMBERS)
        {
            return false;
        }
        self.bytes = bytes;
        match known {
            Some(index) => self.members[index] = member,
            None => self.members.push(member),
        }
        true
    }
}

impl fmt::Display for Baggage {
    /// The header's value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, member) in self.members.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{member}")?;
        }
        Ok(())
    }
}

impl Member {
    fn read(text: &str) -> Option<Self> {
        let (pair, properties) = match text.split_once(';') {
            Some((pair, properties)) => (pair, properties.trim_matches([' ', '\t'])),
            None => (text, ""),
        };
        let (key, value) = pair.split_once('=')?;
        let (key, value) = (
            key.trim_matches([' ', '\t']),
            value.trim_matches([' ', '\t']),
        );
        let in_properties = |byte: u8| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic();
        let sound = is_token(key)
            && value.bytes().all(stands_for_itself_or_escapes)
            && properties.bytes().all(in_properties);
        sound.then(|| Self {
            key: key.to_owned(),
            value: decode(value),
            properties: properties.to_owned(),
        })
    }

    fn encoded_len(&self) -> usize {
        let value = self.value.bytes();
        let value: usize = value.map(|b| if is_plain(b) { 1 } else { 3 }).sum();
        let properties = match self.properties.len() {
            0 => 0,
            length => length + 1,
        };
        self.key.len() + 1 + value + properties
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.key)?;
        for byte in self.value.bytes() {
            if is_plain(byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        if !self.properties.is_empty() {
            write!(f, ";{}", self.properties)?;
        }
        Ok(())
    }
}

/// A token as HTTP defines it.
fn is_token(key: &str) -> bool {
    let in_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !key.is_empty() && key.bytes().all(in_token)
}

/// Whether a byte may stand in a header's value: printable, but no quote, comma, semicolon or
/// backslash.
fn stands_for_itself_or_escapes(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

/// Whether a byte of a value is written as it is.
fn is_plain(byte: u8) -> bool {
    stands_for_itself_or_escapes(byte) && byte != b'%'
}

/// Percent-encoded bytes become themselves; what is no UTF-8 then is replaced.
fn decode(value: &str) -> String {
    let digit = |byte: Option<&u8>| {
        byte.and_then(|byte| char::from(*byte).to_digit(16))
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        match (digit(more.first()), digit(more.get(1))) {
            (Some(high), Some(low)) if *first == b'%' => {
                bytes.push(high << 4 | low);
                rest = &more[2..];
            }
            _ => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_and_written() {
        let header =
            "user.id=al%20ice , region=eu;ttl=30;x, bad, =x, k\"=1, q=\"1\", user.id=bo%C3%A9";
        let baggage = Baggage::read(header);
        let seen: Vec<_> = baggage.iter().collect();
        assert_eq!(seen, [("user.id", "bo\u{e9}"), ("region", "eu")]);
        assert_eq!(baggage.to_string(), "user.id=bo%C3%A9,region=eu;ttl=30;x");
        assert_eq!(baggage.get("region"), Some("eu"));
        assert_eq!(Baggage::read("a=%zz%").get("a"), Some("%zz%"));
        assert_eq!(Baggage::read("a=%FF").get("a"), Some("\u{fffd}"));
        assert!(Baggage::read("").is_empty());
    }

    #[test]
    fn the_limits_hold() {
        let many: Vec<String> = (0..200).map(|index| format!("k{index}=v")).collect();
        assert_eq!(
            Baggage::read(&many.join(",")).iter().count(),
            Baggage::MEMBERS
        );
        let mut baggage = Baggage::default();
        assert!(baggage.set("a", &"x".repeat(Baggage::BYTES - 2)));
        assert_eq!(baggage.to_string().len(), Baggage::BYTES);
        assert!(!baggage.set("b", ""));
        assert!(!baggage.set("a", &" ".repeat(Baggage::BYTES / 2)));
        assert!(baggage.set("a", "short"), "a shorter value makes room");
        assert!(baggage.set("b", ""));
        assert!(!baggage.set("no token", "x"));
    }
}
