//! Two values for each setting, as a variable and as the config file write them.

use llamatelemetry_settings::SETTINGS;
use std::path::Path;

/// One value in each of its forms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// As a variable or flag holds it.
    pub(crate) text: &'static str,
    /// As the config file holds it.
    pub(crate) toml: &'static str,
    /// As `config show` tells it.
    pub(crate) shown: &'static str,
}

const fn sample(text: &'static str, toml: &'static str, shown: &'static str) -> Sample {
    Sample { text, toml, shown }
}

const fn text(text: &'static str, toml: &'static str) -> Sample {
    sample(text, toml, text)
}

/// Of the settings of `llt serve`, those that are no numbers.
fn of_serve(key: &str) -> Option<[Sample; 3]> {
    Some(match key {
        "serve.host" => [
            sample("localhost", "'localhost'", "127.0.0.1"),
            text("0.0.0.0", "'0.0.0.0'"),
            text("::1", "'::1'"),
        ],
        "serve.upstream" => [
            text("http://a", "'http://a'"),
            text("http://b:1", "'http://b:1'"),
            text("http://c/d", "'http://c/d'"),
        ],
        "serve.socket" | "serve.api_key_file" | "serve.tls_certificate" | "serve.tls_key" => {
            [text("/a", "'/a'"), text("/b", "'/b'"), text("/c", "'/c'")]
        }
        "serve.otlp_body_limit" => [
            sample("1024", "1024", "1KiB"),
            sample("2048 KiB", "'2 MiB'", "2MiB"),
            sample("64MiB", "67108864", "64MiB"),
        ],
        "serve.body_limit" | "serve.body_memory" | "serve.memory_budget" => [
            sample("0", "0", "0B"),
            sample("2048 KiB", "'2 MiB'", "2MiB"),
            sample("1GiB", "1073741824", "1GiB"),
        ],
        "serve.access_log" => [
            text("true", "true"),
            sample("0", "false", "false"),
            sample("on", "true", "true"),
        ],
        "serve.deadline"
        | "serve.drain"
        | "serve.patience"
        | "serve.stall_limit"
        | "serve.wait_for_load" => [
            sample("1", "1", "1s"),
            text("2s", "'2s'"),
            sample("3000 ms", "3.0", "3s"),
        ],
        "serve.hosts" | "serve.cors_origins" => {
            [text("a", "['a']"), text("b", "['b']"), text("c", "['c']")]
        }
        "serve.idle" => [
            sample("1", "1", "1s"),
            text("always", "'always'"),
            sample("5m", "'5m'", "300s"),
        ],
        _ => return None,
    })
}

/// Three different values for a setting: for the file, for a variable and for a flag.
pub(crate) fn samples(key: &str) -> [Sample; 3] {
    if let Some(samples) = of_serve(key) {
        return samples;
    }
    let numbers = [text("1", "1"), text("2", "2"), text("3", "3")];
    let texts = [text("a", "'a'"), text("b", "'b'"), text("c", "'c'")];
    match key {
        "home"
        | "runtime.server_path"
        | "runtime.source"
        | "runtime.python"
        | "models.hub_cache"
        | "telemetry.file" => [text("/a", "'/a'"), text("/b", "'/b'"), text("/c", "'/c'")],
        "telemetry.capture_content" => [
            sample("true", "true", "span_only"),
            sample("NO_CONTENT", "false", "no_content"),
            text("event_only", "'event_only'"),
        ],
        "telemetry.redact" => [
            sample("email", "['email']", "email"),
            sample("card", "['card']", "card"),
            sample("all", "['all']", "all"),
        ],
        "telemetry.backend" => [
            text("grafana", "'grafana'"),
            text("mlflow", "'mlflow'"),
            text("wandb", "'wandb'"),
        ],
        "telemetry.spool_limit" | "telemetry.store_limit" => [
            sample("0", "0", "0B"),
            sample("2048 KiB", "'2 MiB'", "2MiB"),
            sample("1GiB", "1073741824", "1GiB"),
        ],
        "telemetry.log_level" => [
            text("trace", "'trace'"),
            text("warn", "'warn'"),
            text("error", "'error'"),
        ],
        "network.offline"
        | "telemetry.console"
        | "telemetry.emit_event"
        | "telemetry.openinference"
        | "telemetry.store" => [
            text("true", "true"),
            sample("0", "false", "false"),
            sample("on", "true", "true"),
        ],
        "network.give_up_after" | "server.start_timeout" | "telemetry.store_age" => [
            sample("1", "1", "1s"),
            text("2s", "'2s'"),
            sample("3000 ms", "3.0", "3s"),
        ],
        "network.mirrors.releases" | "network.mirrors.hub" => [
            text("http://a", "'http://a'"),
            text("https://b/x", "'https://b/x'"),
            text("http://c", "'http://c'"),
        ],
        "telemetry.prometheus" => [
            text("127.0.0.1:1", "'127.0.0.1:1'"),
            sample("localhost:2", "'localhost:2'", "127.0.0.1:2"),
            text("[::1]:3", "'[::1]:3'"),
        ],
        "runtime.backend" => [
            text("cpu", "'cpu'"),
            text("cuda", "'cuda'"),
            text("auto", "'auto'"),
        ],
        "telemetry.profile" => [
            text("v1.36", "'v1.36'"),
            text("v1.41", "'v1.41'"),
            text("latest", "'latest'"),
        ],
        "runtime.bootstrap" => [
            text("load", "'load'"),
            text("import", "'import'"),
            text("load", "'load'"),
        ],
        "models.hub_token" => texts.map(|one| Sample {
            shown: "••••",
            ..one
        }),
        "models.folders" => [
            text("/a", "['/a']"),
            text("/b", "['/b']"),
            text("/c", "['/c']"),
        ],
        "server.devices" | "server.extra_args" | "telemetry.redact_patterns" => {
            texts.map(|sample| Sample {
                toml: match sample.text {
                    "a" => "['a']",
                    "b" => "['b']",
                    _ => "['c']",
                },
                ..sample
            })
        }
        "server.gpu_layers" => [text("all", "'all'"), text("2", "2"), text("3", "'3'")],
        _ => numbers,
    }
}

/// Writes a config file that only its owner can read.
pub(crate) fn write_config(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn every_setting_takes_its_samples() {
    use llamatelemetry_settings::{Environment, Flags, resolve};
    for setting in SETTINGS {
        for sample in samples(setting.key) {
            let environment = Environment::from_pairs([("LLAMATELEMETRY_HOME", "/h")]);
            let flags = Flags::default().with(setting.key, sample.text).unwrap();
            let resolved = resolve(environment, &flags).unwrap();
            let rows = resolved.rows();
            let row = rows.iter().find(|row| row.key == setting.key).unwrap();
            assert_eq!(row.value, sample.shown, "{}", setting.key);
        }
    }
}
