//! `[serve.models.NAME]` in the config file.

use crate::samples::write_config;
use llamatelemetry_settings::{Environment, Flags, KeepAlive, Resolved, SettingsError, resolve};
use std::time::Duration;

fn resolved(text: &str) -> Result<Resolved, SettingsError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    write_config(&file, text);
    let mut flags = Flags::default().with("home", folder.path()).unwrap();
    flags.set_config(file);
    resolve(Environment::default(), &flags)
}

#[test]
fn a_models_table_is_read_and_shown() {
    let resolved = resolved(
        "[serve.models.small]\n\
         [serve.models.'a.b']\n\
         model = 'smollm2'\n\
         aliases = ['x', 'y']\n\
         pin = true\n\
         idle = 'always'\n\
         context = 1024\n\
         gpu_layers = 'all'\n\
         replicas = 2\n\
         adapters = { french = 'f.gguf' }\n",
    )
    .unwrap();
    let models = &resolved.settings.serve.models;
    let names: Vec<&String> = models.keys().collect();
    assert_eq!(names, ["a.b", "small"]);
    let model = &models["a.b"];
    assert_eq!(model.model.as_deref(), Some("smollm2"));
    assert_eq!(model.aliases, ["x", "y"]);
    assert_eq!(model.idle, Some(KeepAlive::Always));
    assert_eq!((model.context, model.replicas), (Some(1024), Some(2)));
    let adapter = &model.adapters["french"];
    assert!(adapter.is_absolute(), "a path starts at the file's folder");
    let rows = resolved.rows();
    let row = |key: &str| rows.iter().find(|row| row.key == key);
    assert_eq!(row("serve.models.\"a.b\".aliases").unwrap().value, "x, y");
    assert!(row("serve.models.small.pin").is_none());
}

#[test]
fn mistakes_are_told_with_their_line() {
    let unknown = resolved("[serve.models.a]\npin = true\nalliases = []\n").unwrap_err();
    assert!(
        matches!(&unknown, SettingsError::UnknownKey { key, nearest, line: 3, .. }
            if key == "serve.models.a.alliases" && nearest == &["aliases"]),
        "{unknown:?}"
    );
    let wrong = resolved("[serve.models.a]\nreplicas = 0\n").unwrap_err();
    assert!(
        matches!(&wrong, SettingsError::ModelValue { model, key: "replicas", line: 2, .. }
            if &**model == "a"),
        "{wrong:?}"
    );
    assert!(matches!(
        resolved("[serve]\nmodels = 1\n"),
        Err(SettingsError::UnknownKey { .. })
    ));
}

#[test]
fn times_to_keep_a_model_are_durations_or_a_word() {
    let idle = |text: &str| resolved(text).unwrap().settings.serve.idle;
    assert_eq!(idle(""), KeepAlive::For(Duration::from_secs(300)));
    assert_eq!(idle("serve.idle = 'always'\n"), KeepAlive::Always);
    assert_eq!(
        idle("serve.idle = 2\n"),
        KeepAlive::For(Duration::from_secs(2))
    );
}
