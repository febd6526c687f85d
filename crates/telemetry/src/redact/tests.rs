use super::*;
use crate::config::Config;
use llamatelemetry_record::{Content, Endpoint, Failure, Message, SpanId, TraceId};
use llamatelemetry_settings::{Environment, Flags, resolve};
use proptest::prelude::*;

fn redactor(classes: &[&str], patterns: &[&str]) -> Redactor {
    redactor_with(classes, patterns, &[])
}

fn redactor_with(classes: &[&str], patterns: &[&str], more: &[(&str, &str)]) -> Redactor {
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    let mut settings = resolve(
        Environment::from_pairs(
            [("HOME", "/nonexistent"), ("HF_TOKEN", "the-hub-token")]
                .iter()
                .chain(more)
                .copied(),
        ),
        &Flags::default(),
    )
    .unwrap()
    .settings;
    settings.telemetry.redact = owned(classes);
    settings.telemetry.redact_patterns = owned(patterns);
    settings.telemetry.otel.insert(
        "OTEL_EXPORTER_OTLP_HEADERS".into(),
        "authorization=Basic%20c2VjcmV0LWtleQ%3D%3D,x-scope=1".into(),
    );
    Redactor::new(&settings, &Config::read(&settings).unwrap().secrets).unwrap()
}

#[test]
fn each_class_is_found_and_named() {
    let cases = [
        ("api_key", "sk-proj-abcdefghijklmnop1234"),
        ("api_key", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
        ("api_key", "AKIAIOSFODNN7EXAMPLE"),
        (
            "jwt",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
        ),
        (
            "private_key",
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        ),
        ("email", "ada.lovelace+x@mail.example.org"),
        ("card", "4111 1111 1111 1111"),
        ("card", "5500-0000-0000-0004"),
        ("card", "378282246310005"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("iban", "GB82WEST12345698765432"),
    ];
    for (class, secret) in cases {
        let text = format!("before 1 {secret}, after");
        let expected = format!("before 1 [redacted:{class}], after");
        assert_eq!(redactor(&[class], &[]).text(&text), expected);
        assert_eq!(redactor(&["all"], &[]).text(&text), expected);
        assert_eq!(redactor(&[], &[]).text(&text), text, "not asked for");
    }
    assert_eq!(
        redactor(&["api_key"], &[]).text("Authorization: Bearer abcdefghijklmnop.q"),
        "Authorization: Bearer [redacted:api_key]"
    );
}

#[test]
fn what_only_looks_alike_stays() {
    let all = redactor(&["all"], &[]);
    for text in [
        "task-sk-1 is done",
        "4111 1111 1111 1112",
        "12345678901234567890123456",
        "a @ b, @home, x@localhost",
        "DE88 3704 0044 0532 0130 00",
        "eyJ.a.b",
        "-----BEGIN PUBLIC KEY-----",
        "ünicode 4111é",
        "[redacted:email]",
    ] {
        assert_eq!(all.text(text), text);
    }
}

#[test]
fn what_overlaps_is_replaced_once() {
    let redactor = redactor(&["email"], &["[a-z]+@", "example"]);
    assert_eq!(redactor.text("to ada@example.org!"), "to [redacted:email]!");
    assert_eq!(redactor.text("an example"), "an [redacted:pattern]");
}

#[test]
fn own_secrets_never_show() {
    let redactor = redactor(&[], &[]);
    assert_eq!(
        redactor.text("the-hub-token and Basic c2VjcmV0LWtleQ== or Basic%20c2VjcmV0LWtleQ%3D%3D"),
        "[redacted:secret] and Basic [redacted:secret] or Basic%20[redacted:secret]"
    );
    assert!(!format!("{redactor:?}").contains("hub-token"));
}

#[test]
fn keys_of_backends_never_show() {
    let redactor = redactor_with(
        &[],
        &[],
        &[
            ("LLAMATELEMETRY_OTEL_BACKEND", "langfuse"),
            ("LANGFUSE_PUBLIC_KEY", "public"),
            ("LANGFUSE_SECRET_KEY", "very-secret"),
        ],
    );
    // `public:very-secret`, as the header has it.
    assert_eq!(
        redactor.text("very-secret, Basic cHVibGljOnZlcnktc2VjcmV0"),
        "[redacted:secret], Basic [redacted:secret]"
    );
}

#[test]
fn a_pattern_that_is_none_is_an_error() {
    let mut settings = resolve(
        Environment::from_pairs([("HOME", "/nonexistent")]),
        &Flags::default(),
    )
    .unwrap()
    .settings;
    settings.telemetry.redact_patterns = vec!["fine".into(), "(".into()];
    let error = Redactor::new(&settings, &[]).unwrap_err();
    assert!(matches!(error, TelemetryError::Pattern { number: 2, .. }));
}

#[test]
fn every_text_of_a_record_is_walked() {
    let secret = "x@example.org";
    let mut record = RequestRecord::new(
        TraceId([1; 16]),
        SpanId([1; 8]),
        Endpoint::ChatCompletions,
        std::time::SystemTime::UNIX_EPOCH,
    );
    record.failure = Some(Failure {
        kind: "400".into(),
        message: secret.into(),
    });
    record.parameters.stop = vec![secret.into()];
    record.conversation_id = Some(secret.into());
    record.baggage = vec![("user".into(), secret.into())];
    record.content = Some(Content {
        system_instructions: vec![llamatelemetry_record::Part::text(secret)],
        tool_definitions: vec![serde_json::json!({"function": {"description": [secret]}})],
        input: vec![Message::text("user", secret)],
        output: vec![Message::text("assistant", secret)],
    });
    let record = Arc::new(record);
    let clean = redactor(&["email"], &[]).record(record.clone());
    assert!(!format!("{clean:?}").contains(secret), "{clean:?}");
    let same = redactor(&["card"], &[]).record(record.clone());
    assert!(Arc::ptr_eq(&same, &record));
}

fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "sk-[A-Za-z0-9_-]{16,40}",
        "hf_[A-Za-z0-9]{16,40}",
        "[a-z][a-z0-9.]{0,8}@[a-z]{1,8}\\.(org|com|example)",
        "[2-6][0-9]{14}".prop_map(|digits| {
            let check = (0..10)
                .map(|check| format!("{digits}{check}"))
                .find(|card| super::account::cards(card).len() == 1);
            check.unwrap_or_default()
        }),
        Just("DE89370400440532013000".to_owned()),
    ]
}

proptest! {
    #[test]
    fn no_secret_survives_between_any_texts(
        before in "\\PC{0,40}", secret in secret(), after in "\\PC{0,40}",
    ) {
        // Apart from the neighbours by a mark that belongs to no form.
        let text = format!("{before}<{secret}>{after}");
        let all = redactor(&["all"], &[]);
        let clean = all.text(&text);
        prop_assert!(!clean.contains(&format!("<{secret}>")), "{}", clean);
        prop_assert!(clean.contains("[redacted:"));
        prop_assert_eq!(all.text(&clean), clean.as_ref());
    }

    #[test]
    fn any_text_is_walked_without_harm(text in "\\PC*", pattern in "[a-z]{1,3}") {
        let clean = redactor(&["all"], &[&pattern]);
        let once = clean.text(&text);
        prop_assert!(once.contains("[redacted:") || once == text);
    }
}
