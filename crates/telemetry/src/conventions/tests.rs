//! The tables and the way between them.

use super::*;
use crate::value::key_value;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use registry::ValueKind;
use tables::{CORE, LATEST, LLAMACPP, OPENINFERENCE, V1_36, V1_41};

const ALL: [&Registry; 6] = [&CORE, &LATEST, &LLAMACPP, &OPENINFERENCE, &V1_36, &V1_41];

/// An attribute of the latest text with some value of its type.
fn example(attribute: &Attribute) -> KeyValue {
    let key = if attribute.template {
        format!("{}.x", attribute.name)
    } else {
        attribute.name.to_owned()
    };
    match attribute.kind {
        ValueKind::Int => key_value(key, 40_i64),
        ValueKind::Double => key_value(key, 0.25),
        ValueKind::Boolean => key_value(key, true),
        ValueKind::Texts => key_value(key, vec!["a".to_owned(), "b".to_owned()]),
        ValueKind::Text | ValueKind::Any => key_value(key, "text"),
    }
}

fn span(attributes: Vec<KeyValue>) -> Span {
    Span {
        attributes,
        ..Span::default()
    }
}

#[test]
fn tables_are_in_order_and_every_name_is_found() {
    for registry in ALL {
        assert!(registry.attributes.is_sorted_by(|a, b| a.name < b.name));
        assert!(registry.metrics.is_sorted_by(|a, b| a.name < b.name));
        for attribute in registry.attributes {
            let KeyValue { key, .. } = example(attribute);
            assert_eq!(registry.attribute(&key), Some(attribute), "{key}");
        }
        for metric in registry.metrics {
            assert_eq!(registry.metric(metric.name), Some(metric));
        }
        assert_eq!(registry.attribute("nothing.of.the.kind"), None);
    }
}

#[test]
fn what_is_required_is_defined() {
    for profile in Profile::ALL {
        let conventions = Conventions::new(profile, false);
        let spans = profile
            .registry()
            .spans
            .iter()
            .map(|span| span.requirements);
        let metrics = profile.registry().metrics.iter().map(|m| m.requirements);
        let events = profile.registry().events.iter().map(|e| e.requirements);
        for all in spans.chain(metrics).chain(events) {
            let conditional = all.conditional.iter().map(|(name, _)| name);
            for name in all
                .required
                .iter()
                .chain(conditional)
                .chain(all.recommended)
                .chain(all.opt_in)
            {
                assert!(conventions.attribute(name).is_some(), "{profile}: {name}");
            }
        }
    }
}

#[test]
fn a_translation_and_back_changes_nothing() {
    let all: Vec<KeyValue> = LATEST
        .attributes
        .iter()
        .filter(|attribute| attribute.deprecated.is_none())
        .filter(|attribute| attribute.name.starts_with("gen_ai."))
        .chain(LLAMACPP.attributes)
        .map(example)
        .collect();
    for profile in Profile::ALL {
        let conventions = Conventions::new(profile, false);
        let before = span(all.clone());
        let mut there = before.clone();
        conventions.translate(&mut there);
        for KeyValue { key, .. } in &there.attributes {
            let known = conventions.attribute(key);
            assert!(
                known.is_some_and(|a| a.deprecated.is_none()),
                "{profile}: {key}"
            );
        }
        let mut back = there;
        conventions.restore(&mut back);
        assert_eq!(back, before, "{profile}");
    }
}

#[test]
fn what_a_profile_lacks_stands_under_ours() {
    let mut span = span(vec![
        key_value("gen_ai.provider.name", "llama_cpp"),
        key_value("gen_ai.request.top_k", 40_i64),
        key_value("gen_ai.response.time_to_first_chunk", 0.5),
        key_value("gen_ai.of.somebody.else", 1_i64),
        key_value("http.route", "/"),
    ]);
    Conventions::new(Profile::V1_36, false).translate(&mut span);
    let names: Vec<&str> = span.attributes.iter().map(|a| a.key.as_str()).collect();
    assert_eq!(
        names,
        [
            "gen_ai.system",
            "gen_ai.request.top_k",
            "llamacpp.response.time_to_first_chunk",
            "gen_ai.of.somebody.else",
            "http.route",
        ]
    );
    let top_k = span.attributes[1]
        .value
        .as_ref()
        .and_then(|v| v.value.as_ref());
    assert_eq!(top_k, Some(&Value::DoubleValue(40.0)));
}

/// What is recorded is what the tables define, in the profile that has it.
#[test]
fn every_instrument_is_defined_with_its_unit() {
    for instrument in crate::metrics::INSTRUMENTS {
        // The conventions of telemetry about itself are in no table here.
        if instrument.name.starts_with("otel.") {
            continue;
        }
        let mut units = Profile::ALL
            .into_iter()
            .filter_map(|profile| Conventions::new(profile, false).metric(instrument.name))
            .map(|metric| metric.unit)
            .peekable();
        assert!(units.peek().is_some(), "{}", instrument.name);
        assert!(
            units.all(|unit| unit == instrument.unit),
            "{}",
            instrument.name
        );
    }
}

#[test]
fn an_event_that_a_profile_lacks_stands_under_ours() {
    let name = |profile| {
        let mut log = LogRecord {
            event_name: "gen_ai.client.inference.operation.details".into(),
            ..LogRecord::default()
        };
        Conventions::new(profile, false).translate_log(&mut log);
        log.event_name
    };
    assert_eq!(
        name(Profile::V1_36),
        "llamacpp.client.inference.operation.details"
    );
    assert_eq!(
        name(Profile::V1_41),
        "gen_ai.client.inference.operation.details"
    );
}

#[test]
fn openinference_is_added_beside() {
    let mut chat = span(vec![
        key_value("gen_ai.operation.name", "chat"),
        key_value("gen_ai.request.model", "m"),
        key_value("gen_ai.request.temperature", 0.5),
        key_value("gen_ai.usage.input_tokens", 3_i64),
        key_value("gen_ai.usage.output_tokens", 4_i64),
        key_value(
            "gen_ai.output.messages",
            r#"[{"role":"assistant","parts":[{"type":"text","content":"hi"}]}]"#,
        ),
    ]);
    let before = chat.attributes.clone();
    let conventions = Conventions::new(Profile::Latest, true);
    conventions.translate(&mut chat);
    assert_eq!(chat.attributes[..before.len()], before);
    let text = |key: &str| match crate::value::find(&chat.attributes, key) {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{key}: {other:?}"),
    };
    assert_eq!(text("openinference.span.kind"), "LLM");
    assert_eq!(text("llm.model_name"), "m");
    assert_eq!(text("llm.invocation_parameters"), r#"{"temperature":0.5}"#);
    assert_eq!(text("llm.output_messages.0.message.content"), "hi");
    assert_eq!(text("output.value"), "hi");
    let total = crate::value::find(&chat.attributes, "llm.token_count.total");
    assert_eq!(total, Some(&Value::IntValue(7)));
    for KeyValue { key, .. } in &chat.attributes {
        assert!(conventions.attribute(key).is_some(), "{key}");
    }
    let mut phase = span(Vec::new());
    conventions.translate(&mut phase);
    assert_eq!(
        phase.attributes,
        [key_value("openinference.span.kind", "CHAIN")]
    );
}
