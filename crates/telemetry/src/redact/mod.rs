//! Taking secrets out before anything is stored or sent. What stands in their place names their
//! kind and nothing else.

mod account;
mod key;
mod walk;

use crate::TelemetryError;
use llamatelemetry_record::{Happening, LoggedLine, RequestRecord};
use llamatelemetry_settings::{Secret, Settings};
use regex_lite::Regex;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// A secret shorter than this is no secret and would take ordinary words out, bytes.
const SHORTEST_SECRET: usize = 8;

/// A kind of secret that is known by its form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    ApiKey,
    Jwt,
    PrivateKey,
    Email,
    Card,
    Iban,
}

impl Class {
    const ALL: [Self; 6] = [
        Self::ApiKey,
        Self::Jwt,
        Self::PrivateKey,
        Self::Email,
        Self::Card,
        Self::Iban,
    ];

    /// The word that the settings have for it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Jwt => "jwt",
            Self::PrivateKey => "private_key",
            Self::Email => "email",
            Self::Card => "card",
            Self::Iban => "iban",
        }
    }

    /// Where such secrets stand.
    fn find(self, text: &str) -> Vec<Range<usize>> {
        match self {
            Self::ApiKey => key::api_keys(text),
            Self::Jwt => key::jwts(text),
            Self::PrivateKey => key::private_keys(text),
            Self::Email => account::emails(text),
            Self::Card => account::cards(text),
            Self::Iban => account::ibans(text),
        }
    }
}

/// Takes secrets out of what is recorded.
pub(crate) struct Redactor {
    /// Secrets that this program was given: they never show, whatever the settings say.
    own: Vec<String>,
    classes: Vec<Class>,
    patterns: Vec<Regex>,
}

impl Redactor {
    /// What the settings ask for. `given` are further secrets that this program was given.
    pub(crate) fn new(settings: &Settings, given: &[Secret]) -> Result<Self, TelemetryError> {
        let telemetry = &settings.telemetry;
        let asked = |class: &Class| {
            let names = &telemetry.redact;
            names
                .iter()
                .any(|name| name == "all" || name == class.as_str())
        };
        let patterns = telemetry.redact_patterns.iter().enumerate();
        Ok(Self {
            own: own_secrets(settings, given),
            classes: Class::ALL.into_iter().filter(asked).collect(),
            patterns: patterns
                .map(|(index, pattern)| {
                    Regex::new(pattern).map_err(|source| TelemetryError::Pattern {
                        number: index + 1,
                        source,
                    })
                })
                .collect::<Result<_, _>>()?,
        })
    }

    /// The text without secrets.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut found: Vec<(Range<usize>, &'static str)> = Vec::new();
        for secret in &self.own {
            let places = text.match_indices(secret.as_str());
            found.extend(places.map(|(start, secret)| (start..start + secret.len(), "secret")));
        }
        for class in &self.classes {
            let places = class.find(text).into_iter();
            found.extend(places.map(|place| (place, class.as_str())));
        }
        for pattern in &self.patterns {
            let places = pattern.find_iter(text).filter(|place| !place.is_empty());
            found.extend(places.map(|place| (place.range(), "pattern")));
        }
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        // Of those that overlap the first, and of those the longest, gives its name to all.
        found.sort_by_key(|(place, _)| (place.start, std::cmp::Reverse(place.end)));
        let mut clean = String::with_capacity(text.len());
        let mut end = 0;
        for (place, kind) in found {
            if place.start >= end {
                clean.push_str(&text[end..place.start]);
                clean.push_str("[redacted:");
                clean.push_str(kind);
                clean.push(']');
            }
            end = end.max(place.end);
        }
        clean.push_str(&text[end..]);
        Cow::Owned(clean)
    }

    /// The record without secrets: the same one if there were none.
    pub(crate) fn record(&self, record: Arc<RequestRecord>) -> Arc<RequestRecord> {
        if self.is_idle() {
            return record;
        }
        let mut clean = RequestRecord::clone(&record);
        let mut changed = false;
        walk::record(&mut clean, &mut |text| changed |= self.replace(text));
        if changed { Arc::new(clean) } else { record }
    }

    /// Takes secrets out of a happening.
    pub(crate) fn happening(&self, happening: &mut Happening) {
        if !self.is_idle() {
            walk::happening(happening, &mut |text| {
                self.replace(text);
            });
        }
    }

    /// Takes secrets out of a line.
    pub(crate) fn line(&self, line: &mut LoggedLine) {
        if !self.is_idle() {
            walk::line(line, &mut |text| {
                self.replace(text);
            });
        }
    }

    fn is_idle(&self) -> bool {
        self.own.is_empty() && self.classes.is_empty() && self.patterns.is_empty()
    }

    /// Returns whether there was anything to take out.
    fn replace(&self, text: &mut String) -> bool {
        match self.text(text) {
            Cow::Borrowed(_) => false,
            Cow::Owned(clean) => {
                *text = clean;
                true
            }
        }
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redactor")
            .field("classes", &self.classes)
            .field("patterns", &self.patterns)
            .finish_non_exhaustive()
    }
}

/// The secrets that are long enough to be any, each once.
fn own_secrets(settings: &Settings, given: &[Secret]) -> Vec<String> {
    let token = settings.models.hub_token.as_ref();
    let mut secrets: Vec<String> = token
        .into_iter()
        .chain(given)
        .map(|secret| secret.expose().to_owned())
        .filter(|secret| secret.len() >= SHORTEST_SECRET)
        .collect();
    secrets.sort_unstable();
    secrets.dedup();
    secrets
}

#[cfg(test)]
mod tests;
