//! The W3C `tracestate` header: what tracing systems upstream add to a trace. It is passed along
//! as it came.

use std::fmt;
use std::str::FromStr;

/// Members allowed by the W3C Trace Context recommendation.
const MEMBERS: usize = 32;
/// Longer values are not passed along, in bytes. The recommendation asks for at least 512.
const BYTES: usize = 4096;

/// The value of a `tracestate` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceState(String);

/// A `tracestate` header that the W3C Trace Context recommendation does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid tracestate")]
pub struct InvalidTraceState;

impl TraceState {
    /// The header's value.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TraceState {
    type Err = InvalidTraceState;

    fn from_str(text: &str) -> Result<Self, InvalidTraceState> {
        let mut members = text
            .split(',')
            .map(|member| member.trim_matches([' ', '\t']))
            .filter(|member| !member.is_empty());
        let mut kept: Vec<&str> = Vec::new();
        let sound = text.len() <= BYTES
            && members.all(|member| {
                kept.push(member);
                kept.len() <= MEMBERS && is_member(member)
            });
        if sound && !kept.is_empty() {
            Ok(Self(kept.join(",")))
        } else {
            Err(InvalidTraceState)
        }
    }
}

/// `key=value`: the key of lower-case letters, digits and `_-*/@`, the value printable without
/// `,` and `=`.
fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else {
        return false;
    };
    let in_key =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let starts = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let in_value = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=';
    key.len() <= 256
        && key.as_bytes().first().is_some_and(starts)
        && key.bytes().all(in_key)
        && (1..=256).contains(&value.len())
        && value.bytes().all(in_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_kept_in_their_order() {
        let state: TraceState = "rojo=00f067, congo=t61rcWkgMzE,,a@b=1 2".parse().unwrap();
        assert_eq!(state.as_str(), "rojo=00f067,congo=t61rcWkgMzE,a@b=1 2");
    }

    #[test]
    fn what_the_recommendation_forbids_is_refused() {
        let many = vec!["a=1"; MEMBERS + 1].join(",");
        for text in [
            "", ",", "a", "=1", "a=", "A=1", "a=1=2", "a=\u{e9}", "a=1\nb=2", &many,
        ] {
            assert_eq!(text.parse::<TraceState>(), Err(InvalidTraceState), "{text}");
        }
    }
}
