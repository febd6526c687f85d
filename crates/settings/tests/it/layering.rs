//! For any choice of layers for any settings, the strongest layer wins and is named.

use crate::samples::{samples, write_config};
use llamatelemetry_settings::{Environment, Fallback, Flags, Origin, SETTINGS, Setting, resolve};
use proptest::prelude::*;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Which layers say something about one setting.
#[derive(Debug, Clone, Copy)]
struct Layers {
    file: bool,
    variable: Option<usize>,
    flag: bool,
}

fn layers() -> impl Strategy<Value = Vec<Layers>> {
    let one = (any::<bool>(), prop::option::of(0..4_usize), any::<bool>()).prop_map(
        |(file, variable, flag)| Layers {
            file,
            variable,
            flag,
        },
    );
    prop::collection::vec(one, SETTINGS.len())
}

/// What a setting must be, by the rule: flag, else variable, else file, else default.
fn expected(setting: &Setting, layers: Layers, file: &std::path::Path) -> Option<(String, Origin)> {
    let [in_file, in_variable, in_flag] = samples(setting.key);
    if layers.flag {
        let name = setting.flag.map_or(setting.key, |flag| flag.long);
        return Some((in_flag.shown.to_owned(), Origin::Flag(name)));
    }
    if let Some(source) = layers.variable.and_then(|at| setting.variables.get(at)) {
        let value = match source.below {
            Some(below) => format!("{}/{below}", in_variable.text),
            None => in_variable.shown.to_owned(),
        };
        return Some((value, Origin::Environment(source.variable)));
    }
    if layers.file && setting.in_file {
        let origin = Origin::ConfigFile(file.to_owned());
        return Some((in_file.shown.to_owned(), origin));
    }
    match setting.default {
        Fallback::Value("") => Some(("(none)".to_owned(), Origin::Default)),
        Fallback::Value(value) => Some((value.to_owned(), Origin::Default)),
        Fallback::Unset(meaning) => Some((format!("({meaning})"), Origin::Default)),
        // Looked up on the machine; `hub.rs` tests those.
        Fallback::Found(_) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_strongest_layer_wins_and_is_named(chosen in layers()) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        let mut text = String::new();
        let mut variables: Vec<(String, PathBuf)> = vec![
            ("HOME".into(), folder.path().join("user")),
            ("LLAMATELEMETRY_CONFIG".into(), file.clone()),
        ];
        let mut flags = Flags::default();
        for (setting, layers) in SETTINGS.iter().zip(&chosen) {
            let [in_file, in_variable, in_flag] = samples(setting.key);
            if layers.file && setting.in_file {
                writeln!(text, "{} = {}", setting.key, in_file.toml).unwrap();
            }
            if let Some(source) = layers.variable.and_then(|at| setting.variables.get(at)) {
                variables.push((source.variable.to_owned(), in_variable.text.into()));
            }
            if layers.flag {
                flags.set(setting.key, in_flag.text).unwrap();
            }
        }
        write_config(&file, &text);
        let resolved = resolve(Environment::from_pairs(variables), &flags).unwrap();
        let rows = resolved.rows();
        for (setting, layers) in SETTINGS.iter().zip(&chosen) {
            let row = rows.iter().find(|row| row.key == setting.key).unwrap();
            if let Some((value, origin)) = expected(setting, *layers, &file) {
                prop_assert_eq!(&row.value, &value, "{}", setting.key);
                prop_assert_eq!(&row.origin, &origin, "{}", setting.key);
            }
        }
        prop_assert_eq!(resolved.notices, Vec::<String>::new());
    }

    #[test]
    fn any_text_is_a_config_file_or_a_typed_error(text in "\\PC{0,60}|[a-z.]{1,12} ?= ?[a-z0-9'\\[\\]]{0,8}") {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        write_config(&file, &text);
        let environment = Environment::from_pairs([
            ("HOME", folder.path()),
            ("LLAMATELEMETRY_CONFIG", &file),
        ]);
        if let Err(error) = resolve(environment, &Flags::default()) {
            prop_assert!(error.to_string().ends_with(":1"), "{}", error);
        }
    }
}
