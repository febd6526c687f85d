//! Each mistake in the config file, with the message and the advice that a person reads.

use crate::samples::write_config;
use llamatelemetry_settings::{Environment, Flags, Origin, Resolved, SettingsError, resolve};
use std::path::{Path, PathBuf};

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("home")).unwrap();
        let place = Self { folder };
        write_config(&place.file(), config);
        place
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("home/config.toml")
    }

    fn environment(&self) -> Environment {
        Environment::from_pairs([
            ("HOME", self.folder.path().to_owned()),
            ("LLAMATELEMETRY_HOME", self.folder.path().join("home")),
        ])
    }

    fn resolve(&self) -> Result<Resolved, SettingsError> {
        resolve(self.environment(), &Flags::default())
    }

    /// Message and hints with the folder's own name taken out.
    fn mistake(&self) -> (String, Vec<String>) {
        let error = self.resolve().unwrap_err();
        let folder = self.folder.path().display().to_string();
        let plain = |text: String| text.replace(&folder, "[folder]");
        (
            plain(error.to_string()),
            error.hints().into_iter().map(plain).collect(),
        )
    }
}

fn mistake(config: &str) -> (String, Vec<String>) {
    Place::new(config).mistake()
}

#[test]
fn an_unknown_key_names_the_line_and_the_nearest() {
    let (message, hints) = mistake("# settings\n[network]\nofline = true\n");
    assert_eq!(
        message,
        "unknown setting `network.ofline`: [folder]/home/config.toml:3"
    );
    assert_eq!(hints, ["did you mean `network.offline`?"]);
}

#[test]
fn an_unknown_table_names_the_nearest() {
    let (message, hints) = mistake("[netwrk]\noffline = true\n");
    assert_eq!(
        message,
        "unknown setting `netwrk`: [folder]/home/config.toml:1"
    );
    assert_eq!(hints, ["did you mean `network`?"]);
}

#[test]
fn nonsense_gets_the_way_to_the_list() {
    let (_, hints) = mistake("zzzzzzz = 1\n");
    assert_eq!(hints, ["`llt config show` lists every setting"]);
}

#[test]
fn an_unknown_standard_variable_names_the_nearest() {
    let (message, hints) = mistake("[telemetry.otel]\nOTEL_SERVICE_NAM = 'x'\n");
    assert_eq!(
        message,
        "unknown setting `telemetry.otel.OTEL_SERVICE_NAM`: [folder]/home/config.toml:2"
    );
    assert_eq!(hints, ["did you mean `OTEL_SERVICE_NAME`?"]);
}

#[test]
fn a_wrong_value_says_what_it_can_be() {
    let (message, _) = mistake("\nserver.parallel = 0\n");
    assert_eq!(
        message,
        "`server.parallel` must be a whole number from 1, not `0`: [folder]/home/config.toml:2"
    );
    let (message, _) = mistake("runtime.backend = 'vulcan'");
    assert_eq!(
        message,
        "`runtime.backend` must be `auto`, `cpu` or `cuda`, not `'vulcan'`: \
         [folder]/home/config.toml:1"
    );
    let (message, _) = mistake("network.offline = 'yes'");
    assert_eq!(
        message,
        "`network.offline` must be `true` or `false`, not `'yes'`: [folder]/home/config.toml:1"
    );
}

#[test]
fn a_wrong_secret_is_not_repeated() {
    let (message, _) = mistake("models.hub_token = ['hf_abc']");
    assert_eq!(
        message,
        "`models.hub_token` must be a text without line breaks: [folder]/home/config.toml:1"
    );
}

#[test]
fn broken_toml_names_the_line() {
    let (message, _) = mistake("[network]\noffline = \n");
    assert_eq!(
        message,
        "string values must be quoted, expected literal string: [folder]/home/config.toml:2"
    );
}

#[test]
fn the_home_cannot_be_set_in_the_file_that_lies_in_it() {
    let (message, hints) = mistake("home = '/x'");
    assert_eq!(
        message,
        "`home` cannot be set in the config file: [folder]/home/config.toml:1"
    );
    assert_eq!(
        hints,
        ["set the environment variable LLAMATELEMETRY_HOME instead"]
    );
}

#[test]
fn a_file_with_a_secret_must_be_private() {
    let place = Place::new("models.hub_token = 'hf_abc'");
    assert_eq!(mode(&place.file(), 0o644), 0o644);
    let (message, hints) = place.mistake();
    assert_eq!(
        message,
        "`models.hub_token` is a secret, but others can read it (mode 0644): \
         [folder]/home/config.toml"
    );
    assert_eq!(hints, ["run: chmod 600 [folder]/home/config.toml"]);
}

#[test]
fn headers_in_the_file_are_a_secret() {
    let place = Place::new("telemetry.otel.OTEL_EXPORTER_OTLP_HEADERS = 'authorization=x'");
    mode(&place.file(), 0o640);
    assert!(matches!(
        place.resolve(),
        Err(SettingsError::Exposed { mode: 0o640, .. })
    ));
    mode(&place.file(), 0o600);
    let resolved = place.resolve().unwrap();
    assert!(!format!("{resolved:?}").contains("authorization"));
    let rows = resolved.rows();
    let row = rows.last().unwrap();
    assert_eq!(row.key, "telemetry.otel.OTEL_EXPORTER_OTLP_HEADERS");
    assert_eq!(row.value, "••••");
    assert_eq!(row.origin, Origin::ConfigFile(place.file()));
}

#[test]
fn a_file_that_everybody_can_write_is_refused() {
    let place = Place::new("");
    mode(&place.file(), 0o606);
    let (message, _) = place.mistake();
    assert_eq!(
        message,
        "everybody can write to the config file (mode 0606): [folder]/home/config.toml"
    );
}

#[test]
fn a_file_without_secrets_may_be_readable() {
    let place = Place::new("network.offline = true");
    mode(&place.file(), 0o644);
    assert!(place.resolve().unwrap().settings.network.offline);
}

#[test]
fn a_named_config_file_must_exist() {
    let place = Place::new("");
    let missing = place.folder.path().join("none.toml");
    let environment = place.environment().with("LLAMATELEMETRY_CONFIG", &missing);
    let error = resolve(environment, &Flags::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("cannot read {}", missing.display())
    );
}

#[test]
fn paths_in_the_file_start_at_the_file() {
    let place = Place::new("models.folders = ['~/models', 'here', '/there']");
    let folders = place.resolve().unwrap().settings.models.folders;
    let root = place.folder.path();
    assert_eq!(
        folders,
        [
            root.join("models"),
            root.join("home/here"),
            Path::new("/there").to_owned()
        ]
    );
}

#[test]
fn the_environment_is_stronger_than_the_file_for_standard_variables_too() {
    let place =
        Place::new("[telemetry.otel]\nOTEL_SERVICE_NAME = 'file'\nOTEL_SDK_DISABLED = 'true'");
    let environment = place.environment().with("OTEL_SERVICE_NAME", "environment");
    let resolved = resolve(environment, &Flags::default()).unwrap();
    let otel = &resolved.settings.telemetry.otel;
    assert_eq!(otel["OTEL_SERVICE_NAME"], "environment");
    assert_eq!(otel["OTEL_SDK_DISABLED"], "true");
    let origins: Vec<_> = resolved
        .rows()
        .into_iter()
        .filter(|row| row.key.starts_with("telemetry.otel."))
        .map(|row| row.origin)
        .collect();
    assert_eq!(
        origins,
        [
            Origin::ConfigFile(place.file()),
            Origin::Environment("OTEL_SERVICE_NAME")
        ]
    );
}

/// Sets the permission bits and returns them.
fn mode(path: &Path, mode: u32) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
