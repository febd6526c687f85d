//! From the latest names to a profile's, and back.
//!
//! An attribute that the profile calls otherwise is renamed; one that it lacks moves from
//! `gen_ai.` to `llamacpp.`, so that nothing is lost and no name is used that the profile does not
//! define. A number takes the type that the profile gives it.

use super::profile::Profile;
use super::registry::{Registry, ValueKind};
use super::tables::LATEST;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use std::borrow::Cow;

const THEIRS: &str = "gen_ai.";
const OURS: &str = "llamacpp.";

/// Whole numbers up to here are exact as floating point: 2⁵³.
const EXACT: i64 = 1 << 53;

/// What an attribute of the latest text is called in a profile.
pub(super) fn name(profile: Profile, latest: &'static str) -> Cow<'static, str> {
    renamed(profile, latest).unwrap_or(Cow::Borrowed(latest))
}

/// What an event of the latest text is called in a profile.
pub(super) fn event_name(profile: Profile, latest: &str) -> Cow<'_, str> {
    let registry = profile.registry();
    match latest.strip_prefix(THEIRS) {
        Some(rest) if LATEST.event(latest).is_some() && registry.event(latest).is_none() => {
            Cow::Owned(format!("{OURS}{rest}"))
        }
        _ => Cow::Borrowed(latest),
    }
}

/// Renames attributes from the latest text to a profile.
pub(super) fn forward(profile: Profile, attributes: &mut [KeyValue]) {
    if profile == Profile::Latest {
        return;
    }
    for attribute in attributes {
        if !attribute.key.starts_with(THEIRS) {
            continue;
        }
        if let Some(name) = renamed(profile, &attribute.key) {
            attribute.key = name.into_owned();
        }
        retype(profile.registry(), attribute);
    }
}

/// Renames attributes from a profile to the latest text.
pub(super) fn back(profile: Profile, attributes: &mut [KeyValue]) {
    if profile == Profile::Latest {
        return;
    }
    for attribute in attributes {
        let known = profile
            .registry()
            .renamed
            .iter()
            .find(|(_, here)| *here == attribute.key);
        if let Some((latest, _)) = known {
            attribute.key = (*latest).to_owned();
        } else if let Some(latest) = latest_of_kept(profile, &attribute.key) {
            attribute.key = latest;
        }
        if attribute.key.starts_with(THEIRS) {
            retype(&LATEST, attribute);
        }
    }
}

/// What an attribute that the profile lacks is called in the latest text, if `name` is the one of
/// ours that it was moved to.
pub(super) fn latest_of_kept(profile: Profile, name: &str) -> Option<String> {
    let latest = format!("{THEIRS}{}", name.strip_prefix(OURS)?);
    let moved = LATEST.attribute(&latest).is_some()
        && profile.registry().attribute(&latest).is_none()
        && !is_renamed(profile, &latest);
    moved.then_some(latest)
}

/// The new name, if it is another.
fn renamed(profile: Profile, latest: &str) -> Option<Cow<'static, str>> {
    let registry = profile.registry();
    if let Some((_, here)) = registry.renamed.iter().find(|(from, _)| *from == latest) {
        return Some(Cow::Borrowed(here));
    }
    if registry.attribute(latest).is_some() || LATEST.attribute(latest).is_none() {
        return None;
    }
    let rest = latest.strip_prefix(THEIRS)?;
    Some(Cow::Owned(format!("{OURS}{rest}")))
}

fn is_renamed(profile: Profile, latest: &str) -> bool {
    let mut renamed = profile.registry().renamed.iter();
    renamed.any(|(from, _)| *from == latest)
}

/// Gives a number the type that its name has in this version, where nothing is lost by it.
fn retype(registry: &Registry, attribute: &mut KeyValue) {
    let Some(definition) = registry.attribute(&attribute.key) else {
        return;
    };
    let Some(AnyValue { value: Some(value) }) = &mut attribute.value else {
        return;
    };
    match (&*value, definition.kind) {
        (Value::IntValue(whole), ValueKind::Double) if (-EXACT..=EXACT).contains(whole) => {
            *value = Value::DoubleValue(*whole as f64);
        }
        (Value::DoubleValue(number), ValueKind::Int) => {
            if let Some(whole) = whole(*number) {
                *value = Value::IntValue(whole);
            }
        }
        _ => {}
    }
}

/// The whole number that this one is, if it is one.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn whole(number: f64) -> Option<i64> {
    let exact = number.fract() == 0.0 && number.abs() <= EXACT as f64;
    exact.then_some(number as i64)
}
