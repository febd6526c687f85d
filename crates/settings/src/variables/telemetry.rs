//! The variables of telemetry: OpenTelemetry's own, and those of the backends.

use super::Family;

/// Names and what they do.
pub(super) const FAMILIES: &[(Family, &[(&str, &str)])] = &[
    (
        Family::OpenTelemetry,
        &[
            ("OTEL_SDK_DISABLED", "With `true`, nothing is exported."),
            ("OTEL_SERVICE_NAME", "Name of the service in every span."),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "Further attributes of the resource, `key=value,…`.",
            ),
            (
                "OTEL_TRACES_EXPORTER",
                "Where spans go: `otlp`, `console` or `none`, several with commas.",
            ),
            ("OTEL_TRACES_SAMPLER", "Which traces are kept."),
            ("OTEL_TRACES_SAMPLER_ARG", "The sampler's argument."),
            ("OTEL_PROPAGATORS", "How trace context travels in headers."),
            (
                "OTEL_METRICS_EXPORTER",
                "Where metrics go: `otlp`, `prometheus` or `none`, several with commas.",
            ),
            (
                "OTEL_LOGS_EXPORTER",
                "Where log records go: `otlp` or `none`.",
            ),
            (
                "OTEL_SEMCONV_STABILITY_OPT_IN",
                "`gen_ai_latest_experimental`: the latest names, unless `telemetry.profile` says otherwise.",
            ),
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "Base address of the OTLP receiver.",
            ),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "Headers for the OTLP receiver. A secret.",
            ),
            (
                "OTEL_EXPORTER_OTLP_PROTOCOL",
                "`http/protobuf` or `http/json`; `grpc` is not there yet.",
            ),
            (
                "OTEL_EXPORTER_OTLP_TIMEOUT",
                "Milliseconds that one export may take.",
            ),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "`gzip` or `none`."),
            (
                "OTEL_EXPORTER_OTLP_CERTIFICATE",
                "File with the certificates to trust.",
            ),
            (
                "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
                "File with the certificate that shows who sends.",
            ),
            (
                "OTEL_EXPORTER_OTLP_CLIENT_KEY",
                "File with the key of that certificate.",
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "The same for spans only; the address is used as it is.",
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
                "The same for spans only. A secret.",
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
                "The same for spans only.",
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
                "The same for spans only.",
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
                "The same for spans only.",
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
                "The same for spans only.",
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
                "The same for spans only.",
            ),
            (
                "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
                "The same for spans only.",
            ),
            (
                "OTEL_BSP_SCHEDULE_DELAY",
                "Milliseconds between two exports.",
            ),
            (
                "OTEL_BSP_EXPORT_TIMEOUT",
                "Milliseconds that one batch may take.",
            ),
            (
                "OTEL_BSP_MAX_QUEUE_SIZE",
                "Requests that wait for the pipeline at most.",
            ),
            (
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                "Spans in one export at most.",
            ),
            (
                "OTEL_BSP_MAX_CONCURRENT_EXPORTS",
                "Exports at the same time.",
            ),
            (
                "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
                "Attributes on one span at most.",
            ),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "Events on one span at most."),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", "Links on one span at most."),
            (
                "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
                "Attributes on one event at most.",
            ),
            (
                "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
                "Attributes on one link at most.",
            ),
            (
                "OTEL_ATTRIBUTE_COUNT_LIMIT",
                "Attributes on one span at most, unless the variable for spans says so.",
            ),
            (
                "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
                "Letters in one attribute at most.",
            ),
            (
                "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
                "The same for spans only.",
            ),
            (
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
                "The same for metrics only; the address is used as it is.",
            ),
            (
                "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
                "The same for metrics only. A secret.",
            ),
            (
                "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
                "The same for metrics only.",
            ),
            (
                "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
                "The same for metrics only.",
            ),
            (
                "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
                "The same for metrics only.",
            ),
            (
                "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
                "The same for metrics only.",
            ),
            (
                "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
                "The same for metrics only.",
            ),
            (
                "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY",
                "The same for metrics only.",
            ),
            (
                "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
                "The same for logs only; the address is used as it is.",
            ),
            (
                "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
                "The same for logs only. A secret.",
            ),
            (
                "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
                "The same for logs only.",
            ),
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "The same for logs only."),
            (
                "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION",
                "The same for logs only.",
            ),
            (
                "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE",
                "The same for logs only.",
            ),
            (
                "OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE",
                "The same for logs only.",
            ),
            (
                "OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY",
                "The same for logs only.",
            ),
            (
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
                "`cumulative`, `delta` or `lowmemory`.",
            ),
            (
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                "`base2_exponential_bucket_histogram` or `explicit_bucket_histogram`.",
            ),
            (
                "OTEL_METRIC_EXPORT_INTERVAL",
                "Milliseconds between two exports of the metrics.",
            ),
            (
                "OTEL_METRIC_EXPORT_TIMEOUT",
                "Milliseconds that one export of the metrics may take.",
            ),
            (
                "OTEL_METRICS_EXEMPLAR_FILTER",
                "Which measurements are kept as exemplars: `trace_based`, `always_on` or `always_off`.",
            ),
            (
                "OTEL_EXPORTER_PROMETHEUS_HOST",
                "Address on which Prometheus can fetch the metrics.",
            ),
            ("OTEL_EXPORTER_PROMETHEUS_PORT", "Its port."),
            (
                "OTEL_BLRP_SCHEDULE_DELAY",
                "Milliseconds between two exports of log records.",
            ),
            (
                "OTEL_BLRP_EXPORT_TIMEOUT",
                "Milliseconds that one batch of log records may take.",
            ),
            (
                "OTEL_BLRP_MAX_QUEUE_SIZE",
                "Log lines that wait for the pipeline at most.",
            ),
            (
                "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
                "Log records in one export at most.",
            ),
            (
                "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
                "Attributes on one log record at most.",
            ),
            (
                "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
                "Letters in one attribute of a log record at most.",
            ),
        ],
    ),
    (
        Family::Backends,
        &[
            (
                "GRAFANA_CLOUD_OTLP_ENDPOINT",
                "Grafana Cloud: the OTLP address of the stack.",
            ),
            (
                "GRAFANA_CLOUD_ZONE",
                "Grafana Cloud: the stack's zone, instead of its address.",
            ),
            (
                "GRAFANA_CLOUD_INSTANCE_ID",
                "Grafana Cloud: the stack's number.",
            ),
            ("GRAFANA_CLOUD_API_KEY", "Grafana Cloud: a token. A secret."),
            ("LANGFUSE_BASE_URL", "Langfuse: its address."),
            ("LANGFUSE_HOST", "As `LANGFUSE_BASE_URL`."),
            ("LANGFUSE_PUBLIC_KEY", "Langfuse: the project's public key."),
            (
                "LANGFUSE_SECRET_KEY",
                "Langfuse: the project's secret key. A secret.",
            ),
            ("PHOENIX_COLLECTOR_ENDPOINT", "Phoenix: its address."),
            ("PHOENIX_API_KEY", "Phoenix: a key. A secret."),
            (
                "PHOENIX_CLIENT_HEADERS",
                "Phoenix: further headers, `key=value,…`. A secret.",
            ),
            ("PHOENIX_PROJECT_NAME", "Phoenix: the project."),
            ("MLFLOW_TRACKING_URI", "MLflow: its address."),
            ("MLFLOW_EXPERIMENT_ID", "MLflow: the experiment's number."),
            ("MLFLOW_TRACKING_USERNAME", "MLflow: who sends."),
            (
                "MLFLOW_TRACKING_PASSWORD",
                "MLflow: that user's password. A secret.",
            ),
            (
                "MLFLOW_TRACKING_TOKEN",
                "MLflow: a token instead of user and password. A secret.",
            ),
            (
                "WANDB_BASE_URL",
                "Weights & Biases: the address of an installation of its own.",
            ),
            ("WANDB_API_KEY", "Weights & Biases: a key. A secret."),
            ("WANDB_ENTITY", "Weights & Biases: the team or user."),
            ("WANDB_PROJECT", "Weights & Biases: the project."),
        ],
    ),
];
