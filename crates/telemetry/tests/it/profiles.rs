//! The same request in the names of every profile.

use crate::mapping::shown;
use crate::sample::{chat, content};
use insta::assert_snapshot;
use llamatelemetry_record::{RequestParameters, RequestRecord};
use llamatelemetry_telemetry::conventions::{Conventions, Profile};
use llamatelemetry_telemetry::{SpanLimits, spans};
use opentelemetry_proto::tonic::trace::v1::Span;

/// A request with everything that profiles name differently.
pub(crate) fn full() -> RequestRecord {
    RequestRecord {
        conversation_id: Some("conversation-1".into()),
        parameters: RequestParameters {
            temperature: Some(0.5),
            top_k: Some(40),
            max_tokens: Some(48),
            seed: Some(7),
            stop: vec!["END".into()],
            ..RequestParameters::default()
        },
        content: Some(content()),
        ..chat()
    }
}

/// Its spans under these conventions.
pub(crate) fn translated(record: &RequestRecord, conventions: Conventions) -> Vec<Span> {
    let mut spans = spans(record, &SpanLimits::default());
    for span in &mut spans {
        conventions.translate(span);
    }
    spans
}

fn golden(profile: Profile, openinference: bool) -> String {
    let record = full();
    let spans = translated(&record, Conventions::new(profile, openinference));
    shown(&record, &spans)
}

#[test]
fn v1_36() {
    assert_snapshot!(golden(Profile::V1_36, false));
}

#[test]
fn v1_41() {
    assert_snapshot!(golden(Profile::V1_41, false));
}

#[test]
fn latest() {
    assert_snapshot!(golden(Profile::Latest, false));
}

#[test]
fn openinference_beside_the_latest() {
    assert_snapshot!(golden(Profile::Latest, true));
}

#[test]
fn every_profile_leads_back_to_the_same_spans() {
    let record = full();
    let latest = spans(&record, &SpanLimits::default());
    for profile in Profile::ALL {
        let conventions = Conventions::new(profile, false);
        let mut back = translated(&record, conventions);
        for span in &mut back {
            conventions.restore(span);
        }
        assert_eq!(back, latest, "{profile}");
    }
}
