//! Which names go out.

use super::reader::Variables;
use crate::conventions::{Conventions, Profile};
use llamatelemetry_settings::{ConventionsProfile, TelemetrySettings};

impl From<ConventionsProfile> for Profile {
    fn from(profile: ConventionsProfile) -> Self {
        match profile {
            ConventionsProfile::V1_36 => Self::V1_36,
            ConventionsProfile::V1_41 => Self::V1_41,
            ConventionsProfile::Latest => Self::Latest,
        }
    }
}

/// The setting wins over the standard variable, and without either the latest names go out: the
/// standard's own default is what a program emitted before, and this one never emitted another.
pub(super) fn read(variables: &mut Variables<'_>, settings: &TelemetrySettings) -> Conventions {
    const NAME: &str = "OTEL_SEMCONV_STABILITY_OPT_IN";
    const LATEST: &str = "gen_ai_latest_experimental";
    let profile = settings.profile.map(Profile::from).unwrap_or_default();
    if let Some(list) = variables.text(NAME) {
        // Values of other families are for other programs.
        let mut ours = list
            .split(',')
            .map(str::trim)
            .filter(|value| value.starts_with("gen_ai"));
        if ours.clone().any(|value| value != LATEST) {
            variables.notice(format!(
                "{NAME}: of the GenAI conventions only {LATEST} is known"
            ));
        } else if ours.next().is_some() && profile != Profile::Latest {
            variables.notice(format!(
                "{NAME} is set, but telemetry.profile asks for {profile}"
            ));
        }
    }
    Conventions::new(profile, settings.openinference)
}
