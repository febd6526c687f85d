//! Every variable is followed or named.

use crate::sample::{settings, telemetry};
use llamatelemetry_telemetry::{ResourceFacts, Telemetry, TelemetryError};

#[test]
fn what_is_not_followed_is_named() {
    let telemetry = telemetry(&[
        ("OTEL_METRICS_EXPORTER", "console"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "none"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
            "sometimes",
        ),
        ("OTEL_LOGS_EXPORTER", "none"),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "key=hidden-value"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hidden-value"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_SAMPLER", "xray"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("OTEL_RESOURCE_ATTRIBUTES", "nonsense"),
        ("OTEL_PROPAGATORS", "tracecontext,b3"),
        ("OTEL_BSP_MAX_CONCURRENT_EXPORTS", "4"),
        ("OTEL_SEMCONV_STABILITY_OPT_IN", "http,gen_ai_dup"),
        (
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
            "SPAN_AND_EVENT",
        ),
        ("OTEL_CONFIG_FILE", "/x.yaml"),
        ("OTEL_SOMETHING_NEW", "hidden-value"),
        ("OTEL_SDK_DISABLED", "perhaps"),
    ]);
    let notices = telemetry.notices().join("\n");
    assert!(!notices.contains("hidden-value"));
    insta::assert_snapshot!(notices, @r#"
    OTEL_SDK_DISABLED is neither true nor false; false is used
    OTEL_TRACES_EXPORTER: there is no exporter "zipkin" here, only otlp, console and none
    OTEL_EXPORTER_OTLP_COMPRESSION: there is no compression "zstd" here, only gzip and none
    OTEL_EXPORTER_OTLP_HEADERS is no list of key=value pairs, so no headers are sent
    OTEL_EXPORTER_OTLP_TIMEOUT is no whole number; the default is used
    OTEL_METRICS_EXPORTER: there is no exporter "console" here, only otlp, prometheus and none
    OTEL_EXPORTER_PROMETHEUS_PORT is no port; 9464 is used
    OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE is none of cumulative, delta, lowmemory; cumulative is used
    OTEL_TRACES_SAMPLER_ARG is no ratio between 0 and 1; 1 is used
    OTEL_TRACES_SAMPLER: there is no sampler "xray" here; parentbased_always_on is used
    OTEL_SEMCONV_STABILITY_OPT_IN: of the GenAI conventions only gen_ai_latest_experimental is known
    OTEL_RESOURCE_ATTRIBUTES is no list of key=value pairs
    OTEL_PROPAGATORS names others, but only tracecontext and baggage can be had
    OTEL_BSP_MAX_CONCURRENT_EXPORTS is set, but exports follow one another
    OTEL_CONFIG_FILE is set, but configuration files are not read
    OTEL_SOMETHING_NEW is set, but nothing here reads it
    "#);
}

#[test]
fn what_is_followed_needs_no_notice() {
    let telemetry = telemetry(&[
        ("OTEL_SERVICE_NAME", "a"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=b"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
        ("OTEL_PROPAGATORS", "tracecontext,baggage"),
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
        (
            "OTEL_SEMCONV_STABILITY_OPT_IN",
            "gen_ai_latest_experimental",
        ),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "500"),
        ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "100"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "1"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100"),
        ("OTEL_LOG_LEVEL", ""),
    ]);
    assert_eq!(telemetry.notices(), [""; 0]);
    assert!(!telemetry.is_active());
}

#[test]
fn grpc_is_said_not_to_be_there() {
    let telemetry = telemetry(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ]);
    assert!(!telemetry.is_active());
    insta::assert_snapshot!(telemetry.notices().join("\n"), @r#"OTEL_EXPORTER_OTLP_PROTOCOL: grpc is not there yet, so nothing is sent; use http/protobuf (collectors listen for it on port 4318)"#);
}

#[test]
fn an_address_that_is_none_is_an_error() {
    for address in [
        "",
        "localhost:4318",
        "ftp://host",
        "http://",
        "http://ho st:1",
        "/path",
    ] {
        let (_home, settings) = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", address)]);
        let result = Telemetry::setup(&settings, ResourceFacts::default(), None);
        if address.is_empty() {
            assert!(result.is_ok(), "an empty variable is not set");
            continue;
        }
        let error = result.expect_err(address);
        assert!(
            matches!(
                error,
                TelemetryError::Endpoint {
                    variable: "OTEL_EXPORTER_OTLP_ENDPOINT",
                    ..
                }
            ),
            "{address}: {error:?}"
        );
        assert!(!error.hints().is_empty());
    }
}

#[test]
fn secrets_stay_out_of_what_is_shown() {
    let (_home, settings) = settings(&[
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://user:hidden-value@localhost:1/?key=hidden-value",
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hidden-value"),
    ]);
    let telemetry = Telemetry::setup(&settings, ResourceFacts::default(), None).expect("set up");
    assert!(!format!("{telemetry:?}").contains("hidden-value"));
}

#[test]
fn offline_only_this_machine_is_reached() {
    for (address, active) in [
        ("http://collector.invalid:4318", false),
        ("http://[::1]:4318", true),
        ("http://127.0.0.2:4318", true),
    ] {
        let (_home, mut settings) = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", address)]);
        settings.network.offline = true;
        let telemetry =
            Telemetry::setup(&settings, ResourceFacts::default(), None).expect("set up");
        assert_eq!(telemetry.is_active(), active, "{address}");
        assert_eq!(telemetry.notices().is_empty(), active, "{address}");
    }
}
