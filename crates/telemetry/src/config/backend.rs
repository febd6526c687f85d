//! Known backends: what each needs, said in the standard variables, which win where they are set.

use crate::TelemetryError;
use crate::signal::Signal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llamatelemetry_settings::{Environment, Secret, TelemetryBackend};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What a backend needs.
#[derive(Default)]
pub(super) struct Preset {
    /// Standard variables, below those that are set.
    pub(super) variables: BTreeMap<String, String>,
    /// Attributes of the resource.
    pub(super) resource: Vec<(String, String)>,
    /// The signals that it does not take.
    pub(super) refuses: &'static [Signal],
    /// The keys that the headers are made from.
    pub(super) keys: Vec<Secret>,
    /// How people call it.
    pub(super) name: &'static str,
}

/// Variables of the backends that hold keys.
const KEYS: &[&str] = &[
    "GRAFANA_CLOUD_API_KEY",
    "LANGFUSE_SECRET_KEY",
    "PHOENIX_API_KEY",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_PASSWORD",
    "WANDB_API_KEY",
];

const ONLY_TRACES: &[Signal] = &[Signal::Metrics, Signal::Logs];

impl Preset {
    /// What this backend needs, from its own variables.
    pub(super) fn of(
        backend: TelemetryBackend,
        environment: &Environment,
    ) -> Result<Self, TelemetryError> {
        let environment = Variables {
            environment,
            backend: name(backend),
        };
        let preset = match backend {
            TelemetryBackend::Grafana => grafana(&environment),
            TelemetryBackend::Langfuse => langfuse(&environment),
            TelemetryBackend::Phoenix => Ok(phoenix(&environment)),
            TelemetryBackend::Mlflow => mlflow(&environment),
            TelemetryBackend::Wandb => wandb(&environment),
        }?;
        let keys = KEYS.iter().filter_map(|name| environment.get(name));
        Ok(Self {
            keys: keys.map(Secret::new).collect(),
            ..preset
        })
    }

    /// A backend that takes spans at this address.
    fn traces(name: &'static str, address: &str, headers: &[(&str, &str)]) -> Self {
        let mut preset = Self {
            name,
            refuses: ONLY_TRACES,
            ..Self::default()
        };
        preset.set("TRACES_ENDPOINT", address.to_owned());
        preset.set("TRACES_HEADERS", list(headers));
        preset.set("TRACES_PROTOCOL", "http/protobuf".to_owned());
        preset
    }

    fn set(&mut self, what: &str, value: String) {
        if !value.is_empty() {
            let name = format!("OTEL_EXPORTER_OTLP_{what}");
            self.variables.insert(name, value);
        }
    }
}

fn name(backend: TelemetryBackend) -> &'static str {
    match backend {
        TelemetryBackend::Grafana => "Grafana Cloud",
        TelemetryBackend::Langfuse => "Langfuse",
        TelemetryBackend::Phoenix => "Phoenix",
        TelemetryBackend::Mlflow => "MLflow",
        TelemetryBackend::Wandb => "Weights & Biases",
    }
}

/// The environment as one backend reads it.
struct Variables<'a> {
    environment: &'a Environment,
    backend: &'static str,
}

impl<'a> Variables<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        let value = self.environment.get(name)?.trim();
        (!value.is_empty()).then_some(value)
    }

    fn required(&self, variable: &'static str) -> Result<&'a str, TelemetryError> {
        self.get(variable).ok_or(TelemetryError::Backend {
            backend: self.backend,
            variable,
        })
    }

    /// An address without a slash at its end.
    fn address(&self, name: &str, default: &'a str) -> &'a str {
        self.get(name).unwrap_or(default).trim_end_matches('/')
    }
}

fn grafana(variables: &Variables<'_>) -> Result<Preset, TelemetryError> {
    let address = match variables.get("GRAFANA_CLOUD_OTLP_ENDPOINT") {
        Some(address) => address.trim_end_matches('/').to_owned(),
        None => match variables.get("GRAFANA_CLOUD_ZONE") {
            Some(zone) => format!("https://otlp-gateway-{zone}.grafana.net/otlp"),
            None => {
                return Err(TelemetryError::Backend {
                    backend: variables.backend,
                    variable: "GRAFANA_CLOUD_OTLP_ENDPOINT",
                });
            }
        },
    };
    let user = variables.required("GRAFANA_CLOUD_INSTANCE_ID")?;
    let token = variables.required("GRAFANA_CLOUD_API_KEY")?;
    let headers = list(&[("Authorization", &basic(user, token))]);
    let mut preset = Preset {
        name: variables.backend,
        ..Preset::default()
    };
    for (signal, word) in [
        (Signal::Traces, "TRACES"),
        (Signal::Metrics, "METRICS"),
        (Signal::Logs, "LOGS"),
    ] {
        preset.set(
            &format!("{word}_ENDPOINT"),
            format!("{address}/{}", signal.path()),
        );
        preset.set(&format!("{word}_HEADERS"), headers.clone());
        preset.set(&format!("{word}_PROTOCOL"), "http/protobuf".to_owned());
    }
    Ok(preset)
}

fn langfuse(variables: &Variables<'_>) -> Result<Preset, TelemetryError> {
    let host = variables.address("LANGFUSE_HOST", "https://cloud.langfuse.com");
    let host = variables.address("LANGFUSE_BASE_URL", host);
    let public = variables.required("LANGFUSE_PUBLIC_KEY")?;
    let secret = variables.required("LANGFUSE_SECRET_KEY")?;
    Ok(Preset::traces(
        variables.backend,
        &format!("{host}/api/public/otel/v1/traces"),
        &[
            ("Authorization", &basic(public, secret)),
            // Without it spans show minutes later.
            ("x-langfuse-ingestion-version", "4"),
        ],
    ))
}

fn phoenix(variables: &Variables<'_>) -> Preset {
    let host = variables.address("PHOENIX_COLLECTOR_ENDPOINT", "http://localhost:6006");
    let host = host.trim_end_matches("/v1/traces");
    let bearer = variables.get("PHOENIX_API_KEY").map(bearer);
    let headers: Vec<_> = bearer
        .iter()
        .map(|value| ("Authorization", value.as_str()))
        .collect();
    let mut preset = Preset::traces(variables.backend, &format!("{host}/v1/traces"), &headers);
    if let Some(more) = variables.get("PHOENIX_CLIENT_HEADERS") {
        let all = [list(&headers), more.to_owned()];
        let all: Vec<_> = all.into_iter().filter(|list| !list.is_empty()).collect();
        preset.set("TRACES_HEADERS", all.join(","));
    }
    if let Some(project) = variables.get("PHOENIX_PROJECT_NAME") {
        let key = "openinference.project.name".to_owned();
        preset.resource.push((key, project.to_owned()));
    }
    preset
}

fn mlflow(variables: &Variables<'_>) -> Result<Preset, TelemetryError> {
    let host = variables.address("MLFLOW_TRACKING_URI", "http://localhost:5000");
    let experiment = variables.get("MLFLOW_EXPERIMENT_ID").unwrap_or("0");
    let authorization = match variables.get("MLFLOW_TRACKING_TOKEN") {
        Some(token) => Some(bearer(token)),
        None => match variables.get("MLFLOW_TRACKING_USERNAME") {
            Some(user) => Some(basic(user, variables.required("MLFLOW_TRACKING_PASSWORD")?)),
            None => None,
        },
    };
    let mut headers = vec![("x-mlflow-experiment-id", experiment)];
    if let Some(authorization) = &authorization {
        headers.push(("Authorization", authorization));
    }
    let address = format!("{host}/v1/traces");
    Ok(Preset::traces(variables.backend, &address, &headers))
}

fn wandb(variables: &Variables<'_>) -> Result<Preset, TelemetryError> {
    // An installation of its own has the traces beside everything else, the cloud does not.
    let address = match variables.get("WANDB_BASE_URL") {
        None | Some("https://api.wandb.ai" | "https://api.wandb.ai/") => {
            "https://trace.wandb.ai/otel/v1/traces".to_owned()
        }
        Some(host) => format!("{}/traces/otel/v1/traces", host.trim_end_matches('/')),
    };
    let key = variables.required("WANDB_API_KEY")?;
    let mut preset = Preset::traces(variables.backend, &address, &[("wandb-api-key", key)]);
    for (attribute, variable) in [
        ("wandb.entity", "WANDB_ENTITY"),
        ("wandb.project", "WANDB_PROJECT"),
    ] {
        let value = variables.required(variable)?.to_owned();
        preset.resource.push((attribute.to_owned(), value));
    }
    Ok(preset)
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Headers as the standard variable holds them.
fn list(headers: &[(&str, &str)]) -> String {
    let mut list = String::new();
    for (name, value) in headers {
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(name);
        list.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                list.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                write!(list, "%{byte:02X}").unwrap_or_default();
            }
        }
    }
    list
}
