//! The variables that are set and that nothing here follows.

use super::reader::Variables;
use llamatelemetry_settings::TelemetrySettings;

/// Why a variable is not followed, by the start of its name.
const REASONS: &[(&str, &str)] = &[
    ("OTEL_EXPORTER_ZIPKIN_", "there is no such exporter here"),
    ("OTEL_EXPORTER_JAEGER_", "there is no such exporter here"),
    ("OTEL_EXPORTER_OTLP_INSECURE", "it concerns grpc only"),
    (
        "OTEL_EXPORTER_OTLP_TRACES_INSECURE",
        "it concerns grpc only",
    ),
    ("OTEL_CONFIG_FILE", "configuration files are not read"),
    (
        "OTEL_EXPERIMENTAL_CONFIG_FILE",
        "configuration files are not read",
    ),
    (
        "OTEL_LOG_LEVEL",
        "what is logged is this program's own setting",
    ),
];

/// Says of every variable that nobody read why it is not followed.
pub(super) fn notice(variables: &mut Variables<'_>, settings: &TelemetrySettings) {
    if let Some(list) = variables.text("OTEL_PROPAGATORS") {
        let others = list
            .split(',')
            .map(str::trim)
            .any(|name| !["tracecontext", "baggage", "none", ""].contains(&name));
        if others {
            variables.notice(
                "OTEL_PROPAGATORS names others, but only tracecontext and baggage can be had"
                    .to_owned(),
            );
        }
    }
    if variables
        .text("OTEL_BSP_MAX_CONCURRENT_EXPORTS")
        .is_some_and(|count| count != "1")
    {
        variables.notice(
            "OTEL_BSP_MAX_CONCURRENT_EXPORTS is set, but exports follow one another".to_owned(),
        );
    }
    capture(variables, settings);
    for name in variables.unread() {
        let reason = REASONS
            .iter()
            .find(|(start, _)| name.starts_with(start))
            .map_or("nothing here reads it", |(_, reason)| reason);
        variables.notice(format!("{name} is set, but {reason}"));
    }
}

/// Whether and where content is captured are settings; here it is only checked that they are as
/// asked for.
fn capture(variables: &mut Variables<'_>, settings: &TelemetrySettings) {
    const NAME: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    variables.text("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT");
    let Some(mode) = variables.text(NAME) else {
        return;
    };
    let asked = !["NO_CONTENT", "FALSE"].contains(&mode.to_ascii_uppercase().as_str());
    if asked && !settings.captures_content() {
        variables.notice(format!(
            "{NAME} is set, but another setting turns capture off"
        ));
    }
}
