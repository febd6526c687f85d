//! Names as Prometheus wants them, by OpenTelemetry's rules of translation.

use crate::metrics::instrument::{Instrument, Kind};

/// What a unit is called in a name, or nothing where it has no place there.
fn unit(instrument: &Instrument) -> Option<&'static str> {
    Some(match instrument.unit {
        "s" => "seconds",
        "By" => "bytes",
        "J" => "joules",
        "W" => "watts",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "By/s" => "bytes_per_second",
        "%" => "percent",
        // A counter without unit counts something; a gauge without unit is a ratio.
        "1" if instrument.kind == Kind::Gauge => "ratio",
        // What is counted says the name already.
        _ => return None,
    })
}

/// The name of the family: without the suffix of counters, with its unit.
pub(super) fn family(instrument: &Instrument) -> (String, Option<&'static str>) {
    let mut name = label(instrument.name);
    let unit = unit(instrument);
    if let Some(unit) = unit
        && !name.ends_with(&format!("_{unit}"))
    {
        name.push('_');
        name.push_str(unit);
    }
    (name, unit)
}

/// A name of letters, digits and underscores that no digit begins.
pub(super) fn label(name: &str) -> String {
    let mut label = String::with_capacity(name.len());
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        label.push('_');
    }
    for letter in name.chars() {
        let kept = letter.is_ascii_alphanumeric();
        if kept {
            label.push(letter);
        } else if !label.ends_with('_') || label.is_empty() {
            label.push('_');
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::INSTRUMENTS;
    use std::collections::BTreeSet;

    #[test]
    fn names_have_their_units() {
        let find = |name: &str| {
            let instrument = INSTRUMENTS.iter().find(|found| found.name == name);
            family(instrument.expect("an instrument")).0
        };
        assert_eq!(
            find("gen_ai.server.time_to_first_token"),
            "gen_ai_server_time_to_first_token_seconds"
        );
        assert_eq!(
            find("llamacpp.kv_cache.utilization"),
            "llamacpp_kv_cache_utilization_ratio"
        );
        assert_eq!(find("llamacpp.wasted_tokens"), "llamacpp_wasted_tokens");
    }

    #[test]
    fn no_two_instruments_meet_in_one_name() {
        let names: BTreeSet<_> = INSTRUMENTS.iter().map(|found| family(found).0).collect();
        assert_eq!(names.len(), INSTRUMENTS.len());
    }

    #[test]
    fn labels_are_made_legal() {
        assert_eq!(label("service.name"), "service_name");
        assert_eq!(label("1st"), "_1st");
        assert_eq!(label("a..b"), "a_b");
    }
}
