//! Keys and tokens, known by how they begin.

use std::ops::Range;

/// Beginnings of keys with the letters that must follow at least.
const BEGINNINGS: &[(&str, usize)] = &[
    ("sk-", 16),
    ("sk_live_", 16),
    ("sk_test_", 16),
    ("rk_live_", 16),
    ("pk-lf-", 16),
    ("gsk_", 16),
    ("hf_", 16),
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("xoxa-", 16),
    ("xapp-", 16),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("npm_", 30),
    ("pypi-", 30),
    ("nvapi-", 20),
    ("r8_", 30),
    ("glsa_", 20),
    ("glc_", 20),
];

/// A token after `Bearer` has as many letters at least.
const BEARER: usize = 16;

/// Keys by their beginnings, and what follows `Bearer`.
pub(super) fn api_keys(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (beginning, least) in BEGINNINGS {
        for (start, _) in text.match_indices(beginning) {
            let end = word_end(text, start + beginning.len(), is_key_letter);
            if begins_word(text, start) && end - start >= beginning.len() + least {
                found.push(start..end);
            }
        }
    }
    for scheme in ["Bearer ", "bearer "] {
        for (at, _) in text.match_indices(scheme) {
            let start = at + scheme.len();
            let letter = |byte: u8| is_key_letter(byte) || b".~+/=".contains(&byte);
            let end = word_end(text, start, letter);
            if end - start >= BEARER {
                found.push(start..end);
            }
        }
    }
    found
}

/// JSON web tokens: three parts of base64 between dots, the first of which begins with `{"`.
pub(super) fn jwts(text: &str) -> Vec<Range<usize>> {
    const PART: usize = 8;
    let mut found = Vec::new();
    for (start, _) in text.match_indices("eyJ") {
        let end = word_end(text, start, |byte| is_key_letter(byte) || byte == b'.');
        let mut parts = text[start..end].split('.');
        let (head, body) = (parts.next(), parts.next());
        let long = |part: Option<&str>| part.is_some_and(|part| part.len() >= PART);
        if begins_word(text, start) && long(head) && long(body) && parts.next().is_some() {
            found.push(start..end);
        }
    }
    found
}

/// Private keys in PEM form. One without an end goes to the end of the text: it was cut off.
pub(super) fn private_keys(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (start, head) in text.match_indices("-----BEGIN ") {
        let name = start + head.len();
        let Some(label) = text[name..].find("-----") else {
            continue;
        };
        if !text[name..name + label].ends_with("PRIVATE KEY") {
            continue;
        }
        let body = name + label;
        let end = text[body..].find("-----END ").and_then(|end| {
            let after = body + end + "-----END ".len();
            Some(after + text[after..].find("-----")? + "-----".len())
        });
        found.push(start..end.unwrap_or(text.len()));
    }
    found
}

fn is_key_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn begins_word(text: &str, start: usize) -> bool {
    let before = text.as_bytes()[..start].last();
    before.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
}

fn word_end(text: &str, start: usize, letter: impl Fn(u8) -> bool) -> usize {
    let rest = &text.as_bytes()[start..];
    let length = rest.iter().position(|byte| !letter(*byte));
    start + length.unwrap_or(rest.len())
}
