//! llama-server's own `/metrics`.

use crate::metrics::names::Id;

/// One sample line: the metric's name without its prefix, the position of a draft if the line has
/// one, and the value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample<'a> {
    pub(super) name: &'a str,
    pub(super) position: Option<i64>,
    pub(super) value: f64,
}

/// The samples of a text. What is none is left out.
pub(super) fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines().filter_map(sample)
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let line = line.strip_prefix("llamacpp:")?;
    let (series, value) = line.rsplit_once(' ')?;
    let value: f64 = value.parse().ok().filter(|value: &f64| value.is_finite())?;
    let (name, position) = match series.split_once('{') {
        None => (series, None),
        Some((name, labels)) => {
            let position = labels.strip_prefix("position=\"")?.strip_suffix("\"}")?;
            (name, Some(position.parse().ok()?))
        }
    };
    Some(Sample {
        name,
        position,
        value,
    })
}

/// The instrument of one of its counters.
///
/// The two gauges of throughput have none: every scrape by anybody begins them anew, so with two
/// scrapers both are wrong. Rates come from the counters.
pub(super) fn counter(name: &str) -> Option<Id> {
    Some(match name {
        "prompt_tokens_total" => Id::ServerPromptTokens,
        "prompt_tokens_cached_total" => Id::ServerCachedTokens,
        "prompt_seconds_total" => Id::ServerPromptTime,
        "tokens_predicted_total" => Id::ServerPredictedTokens,
        "tokens_predicted_seconds_total" => Id::ServerPredictedTime,
        "n_decode_total" => Id::ServerDecodes,
        "spec_decode_num_draft_tokens_total" => Id::ServerDraftTokens,
        "spec_decode_num_accepted_tokens_total" => Id::ServerDraftAccepted,
        "spec_decode_num_accepted_tokens_per_pos_total" => Id::ServerDraftAcceptedAt,
        "spec_decode_num_drafts_total" => Id::ServerDrafts,
        _ => return None,
    })
}

/// The instrument of one of its states. `n_tokens_max` calls itself a counter and is none.
pub(super) fn state(name: &str) -> Option<Id> {
    Some(match name {
        "n_tokens_max" => Id::ServerLongest,
        "n_busy_slots_per_decode" => Id::ServerBusySlots,
        "requests_processing" => Id::ServerProcessing,
        "requests_deferred" => Id::ServerDeferred,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_others_left_out() {
        let text = "# TYPE llamacpp:n_decode_total counter\nllamacpp:n_decode_total 12\n\
                    other 1\nllamacpp:prompt_tokens_total 1.23457e+06\nllamacpp:x nan\n\
                    llamacpp:spec_decode_num_accepted_tokens_per_pos_total{position=\"1\"} 3\n\
                    llamacpp:y{other=\"1\"} 3\n";
        let found: Vec<_> = samples(text)
            .map(|sample| (sample.name, sample.position, sample.value.to_string()))
            .collect();
        assert_eq!(
            found,
            [
                ("n_decode_total", None, "12".to_owned()),
                ("prompt_tokens_total", None, "1234570".to_owned()),
                (
                    "spec_decode_num_accepted_tokens_per_pos_total",
                    Some(1),
                    "3".to_owned()
                ),
            ]
        );
        assert_eq!(counter("prompt_tokens_seconds"), None);
        assert_eq!(state("predicted_tokens_seconds"), None);
    }
}
