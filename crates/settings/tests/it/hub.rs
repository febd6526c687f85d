//! The model hub's variables, cache and token, as llama.cpp and the hub's own tools take them.

use llamatelemetry_settings::{Environment, Flags, Origin, Resolved, Secret, resolve};
use std::fmt::Write as _;
use std::path::Path;

fn resolved(pairs: &[(&str, &str)]) -> Resolved {
    let base = [("LLAMATELEMETRY_HOME", "/h")];
    let pairs = base.iter().chain(pairs).copied();
    resolve(Environment::from_pairs(pairs), &Flags::default()).unwrap()
}

#[test]
fn the_cache_follows_llama_cpps_own_order() {
    let all = [
        ("LLAMA_CACHE", "/1", "/1"),
        ("HF_HUB_CACHE", "/2", "/2"),
        ("HUGGINGFACE_HUB_CACHE", "/3", "/3"),
        ("HF_HOME", "/4", "/4/hub"),
        ("XDG_CACHE_HOME", "/5", "/5/huggingface/hub"),
        ("HOME", "/6", "/6/.cache/huggingface/hub"),
    ];
    for first in 0..all.len() {
        let set: Vec<(&str, &str)> = all[first..]
            .iter()
            .map(|(name, value, _)| (*name, *value))
            .collect();
        let (name, _, path) = all[first];
        let resolved = resolved(&set);
        assert_eq!(
            resolved.settings.models.hub_cache,
            Path::new(path),
            "{name}"
        );
        let origin = match name {
            "HOME" => Origin::Default,
            name => Origin::Environment(name),
        };
        assert_eq!(resolved.origins["models.hub_cache"], origin);
    }
}

#[test]
fn an_empty_variable_is_passed_over_as_llama_cpp_does() {
    let resolved = resolved(&[("LLAMA_CACHE", ""), ("HF_HOME", "/4")]);
    assert_eq!(resolved.settings.models.hub_cache, Path::new("/4/hub"));
}

fn token(resolved: &Resolved) -> Option<&str> {
    let token = resolved.settings.models.hub_token.as_ref();
    token.map(Secret::expose)
}

#[test]
fn the_token_comes_from_the_variable_or_the_hubs_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    assert_eq!(token(&resolved(&[("HF_HOME", home)])), None);

    let path = folder.path().join("token");
    std::fs::write(&path, "hf_file\n").unwrap();
    set_mode(&path, 0o600);
    let from_file = resolved(&[("HF_HOME", home)]);
    assert_eq!(token(&from_file), Some("hf_file"));
    assert_eq!(
        from_file.origins["models.hub_token"],
        Origin::TokenFile(path.clone())
    );
    assert_eq!(from_file.notices, Vec::<String>::new());

    let from_variable = resolved(&[("HF_HOME", home), ("HF_TOKEN", "hf_variable")]);
    assert_eq!(token(&from_variable), Some("hf_variable"));

    let disabled = [("HF_HOME", home), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")];
    assert_eq!(token(&resolved(&disabled)), None);

    let named = [("HF_HOME", home), ("HF_TOKEN_PATH", "/none/token")];
    assert_eq!(token(&resolved(&named)), None);

    set_mode(&path, 0o644);
    let exposed = resolved(&[("HF_HOME", home)]);
    assert_eq!(token(&exposed), Some("hf_file"));
    assert_eq!(
        exposed.notices,
        [format!(
            "others can read the hub token (mode 0644); run: chmod 600 {}",
            path.display()
        )]
    );
}

#[test]
fn a_token_is_shown_nowhere() {
    let resolved = resolved(&[("HF_TOKEN", "hf_hidden")]);
    let mut shown = format!("{resolved:?} {:?}", resolved.settings);
    for row in resolved.rows() {
        write!(shown, "{row:?}").unwrap();
    }
    assert!(!shown.contains("hf_hidden"), "{shown}");
}

#[test]
fn offline_has_our_word_and_the_hubs() {
    assert!(
        resolved(&[("HF_HUB_OFFLINE", "1")])
            .settings
            .network
            .offline
    );
    let ours = [("HF_HUB_OFFLINE", "1"), ("LLAMATELEMETRY_OFFLINE", "0")];
    assert!(!resolved(&ours).settings.network.offline);
}

#[test]
fn a_strange_value_in_anothers_variable_is_told_and_skipped() {
    let resolved = resolved(&[("HF_HUB_OFFLINE", "perhaps")]);
    assert!(!resolved.settings.network.offline);
    assert_eq!(
        resolved.notices,
        [
            "ignored: `network.offline` must be `true` or `false`, not `perhaps`: environment \
             variable HF_HUB_OFFLINE"
        ]
    );
}

#[test]
fn content_capture_takes_the_standard_words() {
    const NAME: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    for (word, captures) in [
        ("NO_CONTENT", false),
        ("SPAN_ONLY", true),
        ("EVENT_ONLY", true),
        ("SPAN_AND_EVENT", true),
        ("true", true),
        ("false", false),
    ] {
        let telemetry = resolved(&[(NAME, word)]).settings.telemetry;
        assert_eq!(telemetry.captures_content(), captures, "{word}");
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
