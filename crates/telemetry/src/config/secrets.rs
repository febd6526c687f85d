//! What the variables hold that must never show.

use super::reader::percent_decoded;
use llamatelemetry_settings::{Secret, redact};
use std::collections::BTreeMap;

/// The values of headers and whatever else is secret by its name, without their scheme: `Basic` and
/// `Bearer` are no secrets, and quotations leave them out. `keys` are what headers were made from.
pub(super) fn of(variables: &BTreeMap<String, String>, keys: Vec<Secret>) -> Vec<Secret> {
    let lists = variables.iter().filter(|(name, _)| redact::is_secret(name));
    let values = lists
        .flat_map(|(_, list)| list.split(','))
        .map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value).trim());
    let mut secrets = keys;
    for value in values {
        let decoded = percent_decoded(value).unwrap_or_else(|| value.to_owned());
        secrets.push(Secret::new(without_scheme(&decoded, " ")));
        // As it stands in the variable, which a log may quote.
        secrets.push(Secret::new(without_scheme(value, "%20")));
    }
    secrets
}

fn without_scheme<'a>(value: &'a str, space: &str) -> &'a str {
    value
        .split_once(space)
        .map_or(value, |(_, rest)| rest)
        .trim()
}
