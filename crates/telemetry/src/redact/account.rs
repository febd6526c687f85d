//! People's addresses and accounts, known by form and check digits.

use std::ops::Range;

/// E-mail addresses of ASCII letters.
pub(super) fn emails(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let local = |byte: u8| byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte);
    let host = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let mut found = Vec::new();
    for (at, _) in text.match_indices('@') {
        let before = bytes[..at].iter().rev().take_while(|byte| local(**byte));
        let start = at - before.count();
        let after = bytes[at + 1..].iter().take_while(|byte| host(**byte));
        let domain = text[at + 1..at + 1 + after.count()].trim_end_matches(['.', '-']);
        let top = domain.rsplit_once('.').map(|(_, top)| top);
        let is_top =
            |top: &str| top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic());
        if start < at && top.is_some_and(is_top) {
            found.push(start..at + 1 + domain.len());
        }
    }
    found
}

/// Card numbers: 13 to 19 digits in groups between single spaces or hyphens, of which the last is
/// their Luhn check digit.
pub(super) fn cards(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for groups in runs(text, |byte| byte.is_ascii_digit(), b" -") {
        let mut from = 0;
        while from < groups.len() {
            let longest = (from..groups.len())
                .rev()
                .find(|to| is_card(&join(text, &groups[from..=*to])));
            if let Some(to) = longest {
                found.push(groups[from].start..groups[to].end);
                from = to;
            }
            from += 1;
        }
    }
    found
}

/// International bank account numbers in capitals, with or without spaces, whose check digits hold.
pub(super) fn ibans(text: &str) -> Vec<Range<usize>> {
    let letter = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_uppercase();
    let mut found = Vec::new();
    for groups in runs(text, letter, b" ") {
        let mut from = 0;
        while from < groups.len() {
            let longest = (from..groups.len())
                .take(LONGEST_IBAN)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .find(|to| is_iban(&join(text, &groups[from..=*to])));
            if let Some(to) = longest {
                found.push(groups[from].start..groups[to].end);
                from = to;
            }
            from += 1;
        }
    }
    found
}

const LONGEST_IBAN: usize = 34;
const LONGEST_CARD: usize = 19;

/// Words of such letters with single separators between them, as lists of words. A word beside
/// other letters or digits is none.
fn runs(text: &str, letter: impl Fn(u8) -> bool, separators: &[u8]) -> Vec<Vec<Range<usize>>> {
    let bytes = text.as_bytes();
    let mut runs: Vec<Vec<Range<usize>>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| letter(**byte)).count();
        if length == 0 {
            at += 1;
            continue;
        }
        let word = at..at + length;
        at = word.end;
        let outside = |place: Option<&u8>| {
            place.is_none_or(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric())
        };
        let before = word.start.checked_sub(1).map(|place| &bytes[place]);
        if !outside(before) || !outside(bytes.get(word.end)) {
            continue;
        }
        let follows = runs.last().and_then(|run| run.last()).is_some_and(|last| {
            last.end + 1 == word.start && separators.contains(&bytes[last.end])
        });
        match runs.last_mut() {
            Some(run) if follows => run.push(word),
            _ => runs.push(vec![word]),
        }
    }
    runs
}

fn join(text: &str, words: &[Range<usize>]) -> Vec<u8> {
    let mut joined = Vec::new();
    for word in words {
        joined.extend_from_slice(&text.as_bytes()[word.clone()]);
        // Longer than anything that is looked for: no need to read on.
        if joined.len() > 2 * LONGEST_IBAN {
            break;
        }
    }
    joined
}

fn is_card(digits: &[u8]) -> bool {
    if !(13..=LONGEST_CARD).contains(&digits.len()) || !(b'2'..=b'6').contains(&digits[0]) {
        return false;
    }
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let value = u32::from(digit - b'0') << (index % 2);
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}

fn is_iban(text: &[u8]) -> bool {
    let form = (15..=LONGEST_IBAN).contains(&text.len())
        && text[..2].iter().all(u8::is_ascii_uppercase)
        && text[2..4].iter().all(u8::is_ascii_digit);
    form && text[4..]
        .iter()
        .chain(&text[..4])
        .fold(0_u32, |rest, byte| match byte {
            b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
            _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
        })
        == 1
}
