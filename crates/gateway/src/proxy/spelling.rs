//! How a path is spelled: llama-server resolves percent codes before it looks a path up, so that
//! `/v1/chat/completion%73` is `/v1/chat/completions` to it, and must be that to us.

use std::borrow::Cow;

/// A path as the server matches it: with its percent codes resolved, those of a byte, `%73`, and
/// those of a character, `%u0073`. What is no such code stays as it is.
pub(super) fn decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return path.into();
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%'
            && let Some(after) = take_code(after, &mut bytes)
        {
            rest = after;
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// Resolves the code that begins here; what follows it.
fn take_code<'a>(text: &'a [u8], into: &mut Vec<u8>) -> Option<&'a [u8]> {
    if let Some(text) = text.strip_prefix(b"u") {
        let (digits, after) = text.split_at_checked(4)?;
        let character = char::from_u32(number(digits)?)?;
        into.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        return Some(after);
    }
    let (digits, after) = text.split_at_checked(2)?;
    into.push(u8::try_from(number(digits)?).ok()?);
    Some(after)
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        Some(number * 16 + char::from(*digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_resolved_once_and_all_else_stays() {
        for (spelled, meant) in [
            ("/v1/models", "/v1/models"),
            ("/%73lots/%30", "/slots/0"),
            ("/%u0073lots", "/slots"),
            ("/%2573", "/%73"),
            ("/%c3%A9%u00e9", "/éé"),
            ("/%", "/%"),
            ("/%7", "/%7"),
            ("/%+5%zz%u12", "/%+5%zz%u12"),
        ] {
            assert_eq!(decoded(spelled), meant, "{spelled}");
        }
    }
}
