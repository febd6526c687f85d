//! The table of variables against what the code reads.

use llamatelemetry_settings::{Environment, Flags, SETTINGS, VARIABLES, misspelt, resolve};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn our_misspelt_variables_are_told_with_the_nearest() {
    let environment = Environment::from_pairs([
        ("HOME", "/h"),
        ("LLAMATELEMETRY_OFLINE", "1"),
        ("LLAMATELEMETRY_QQQ", "1"),
    ]);
    assert_eq!(misspelt(&environment).len(), 2);
    let resolved = resolve(environment, &Flags::default()).unwrap();
    assert_eq!(
        resolved.notices,
        [
            "the environment variable LLAMATELEMETRY_OFLINE means nothing; did you mean \
             LLAMATELEMETRY_OFFLINE?",
            "the environment variable LLAMATELEMETRY_QQQ means nothing",
        ]
    );
}

#[test]
fn no_home_is_a_clear_error() {
    let error = resolve(Environment::default(), &Flags::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no home folder: neither LLAMATELEMETRY_HOME nor HOME is set"
    );
}

#[test]
fn each_setting_and_each_variable_stands_once() {
    let keys: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    assert_eq!(keys.len(), SETTINGS.len());
    let names: BTreeSet<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
    assert_eq!(names.len(), VARIABLES.len());
    let flags: Vec<&str> = SETTINGS
        .iter()
        .filter_map(|setting| Some(setting.flag?.long))
        .collect();
    let distinct: BTreeSet<&&str> = flags.iter().collect();
    assert_eq!(distinct.len(), flags.len());
}

/// Every variable that any crate asks an [`Environment`] for by name stands in the table.
#[test]
fn every_variable_that_is_read_stands_in_the_table() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut missing = BTreeSet::new();
    let mut seen = 0;
    for file in sources(&crates) {
        let text = std::fs::read_to_string(&file).unwrap();
        for name in asked_names(&text) {
            seen += 1;
            if !VARIABLES.iter().any(|variable| variable.name == name) {
                missing.insert(format!("{name} ({})", file.display()));
            }
        }
    }
    assert!(seen > 5, "the search finds no uses any more");
    assert_eq!(missing, BTreeSet::new());
}

/// The Rust files below `src` of every crate that is shipped.
fn sources(crates: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = std::fs::read_dir(crates)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("testbed"))
        .map(|path| path.join("src"))
        .collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// Names in capitals that stand in `.get("…")` or `.get_os("…")`.
fn asked_names(text: &str) -> Vec<&str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    [".get(\"", ".get_os(\""]
        .iter()
        .flat_map(|call| code.split(call).skip(1))
        .filter_map(|rest| rest.split_once('"').map(|(name, _)| name))
        .filter(|name| {
            name.len() > 1
                && name.chars().all(|letter| {
                    letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_'
                })
        })
        .collect()
}
